"""Nonlinear elliptic problems as minima of energies: densities, descent, quasi-Newton and Newton, Fourier descent."""
