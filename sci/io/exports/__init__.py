"""Grids in formats of other programs."""
