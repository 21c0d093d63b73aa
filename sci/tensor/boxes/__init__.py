"""Piecewise Chebyshev expansions on a grid of boxes."""
