"""Modules for all other packages: names, redaction, system errors, and once per process."""
