"""Functions of single entries, as ops."""
