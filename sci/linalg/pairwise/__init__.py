"""Reductions over all pairs of two sets of points, serial and round a ring of ranks; never an n x m matrix."""
