"""Grids as VTKHDF: whole, in slabs of z, and in parts that ranks write."""
