"""Servers that others drive: found, asked once a second, told as events. Sends no request."""
