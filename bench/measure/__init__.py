"""The rows as one library's interpreter measures them; the standard library alone is needed."""
