"""What all other packages use: names, redaction, system errors, and what a process does once."""
