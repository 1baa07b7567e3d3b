"""Who generates tokens, and the process in which it happens."""
