"""Readers of foreign structure and trajectory files."""
