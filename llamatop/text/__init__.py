"""Numbers and signs as people read them. Knows nothing of the field."""
