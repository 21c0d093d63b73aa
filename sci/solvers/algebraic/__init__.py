"""Algebraic multigrid: smoothed aggregation for any sparse matrix."""
