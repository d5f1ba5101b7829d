"""The physical substrate."""
