"""The Poisson operator on a grid with bodies: boundary conditions, stencil, null space."""
