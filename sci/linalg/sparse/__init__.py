"""Sparse matrices in compressed rows on host and device: products, relaxation, and products of matrices."""
