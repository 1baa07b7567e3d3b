"""What a session says to a reader: summaries, and later charts and comparisons."""
