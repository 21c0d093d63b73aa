"""Spectral layers: truncated Fourier transforms, weights over modes, convolutions."""
