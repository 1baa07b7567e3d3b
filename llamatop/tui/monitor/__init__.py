"""One run on the screen, live or replayed: its panels, its keys, what they order."""
