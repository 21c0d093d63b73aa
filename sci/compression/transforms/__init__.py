"""Transforms: orthonormal cosine and Hartley transforms, the wavelet 9/7, and prediction by interpolation."""
