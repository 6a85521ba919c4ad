"""What is measured of one library, in its own interpreter; the standard library alone is needed."""
