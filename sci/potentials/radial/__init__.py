"""Radial kernels, their Gaussian sums, and the split into a long and a short range."""
