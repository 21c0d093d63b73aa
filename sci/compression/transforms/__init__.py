"""Transforms: orthonormal cosine and Hartley transforms, and the biorthogonal wavelet 9/7."""
