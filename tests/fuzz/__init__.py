"""Fuzzing: `python -m tests.fuzz` gives each parser whatever it may get."""
