"""Runs side by side: their histories on one axis of time, and how far their figures are apart."""
