"""Acquiring and keeping tokens."""
