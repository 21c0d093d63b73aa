"""Convolution, pooling and resampling on grids of one to three axes, as ops."""
