"""The terminal UI: what a session looks like, live and in a replay."""
