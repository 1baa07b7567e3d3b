"""What each panel shows: pure functions from a frame and a size to lines of text."""
