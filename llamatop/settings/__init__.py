"""What a person asks of a run, checked. Knows no engine and no recording."""
