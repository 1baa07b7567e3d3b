"""The start screen: what can be run here, with which settings, and what was recorded before."""
