"""The client: drives running OpenAI-compatible servers, and measures what their streams show."""
