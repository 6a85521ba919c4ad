"""Fuzzing: `python -m tests.fuzz` calls each parser with random inputs."""
