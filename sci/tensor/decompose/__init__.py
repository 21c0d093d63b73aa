"""Decompositions of dense and factored tensors, and arithmetic with truncation."""
