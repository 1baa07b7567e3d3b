"""Cells, colours, rows and charts made of characters. Knows no session."""
