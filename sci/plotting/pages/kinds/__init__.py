"""Charts of each kind of file."""
