"""A site whose views call the API of a shop."""
