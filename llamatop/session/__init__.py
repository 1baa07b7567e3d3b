"""What a stream of events adds up to, object by object or block by block."""
