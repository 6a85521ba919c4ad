"""The measurements of rows in one library's interpreter; they need only the standard library."""
