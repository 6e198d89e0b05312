"""The credentials block: where a token is kept, and how it becomes a client."""
