"""Servers that llamatop starts: the command, the process on its leash, and when it is ready."""
