"""The attach screen: servers that others drive, live or replayed."""
