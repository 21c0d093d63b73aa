"""Functions on the sphere: harmonics, their transforms on grids, and exact quadrature."""

from sci.spherical.grids import SphereGrid
from sci.spherical.legendre import legendre_functions
from sci.spherical.transform import spherical_synthesis, spherical_transform

__all__ = ["SphereGrid", "legendre_functions", "spherical_synthesis", "spherical_transform"]
