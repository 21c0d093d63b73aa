"""Functions of three variables in the Chebyshev-Tucker format: construction and evaluation."""
