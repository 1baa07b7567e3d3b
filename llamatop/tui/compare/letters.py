"""The letters that runs go by, side by side, and so how many there may be."""

from __future__ import annotations

LETTERS = "ABCDEF"
MOST = len(LETTERS)
"""Runs that find room side by side."""
