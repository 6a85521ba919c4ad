"""One small adapter for each library, which gets a token as the library's users do."""
