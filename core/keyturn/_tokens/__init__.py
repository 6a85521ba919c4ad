"""How a token is acquired and kept."""
