"""One small adapter for each library: how its own users would get a token with it."""
