"""Servers with an OpenAI-compatible interface, as a client sees them."""
