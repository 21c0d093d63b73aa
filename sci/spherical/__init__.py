"""Functions on the sphere: harmonics, their transforms on grids, and exact quadrature."""

from sci.spherical.grids import SphereGrid
from sci.spherical.harmonics import spherical_harmonics, spherical_harmonics_gradient
from sci.spherical.legendre import legendre_functions
from sci.spherical.transform import spherical_synthesis, spherical_transform

__all__ = [
    "SphereGrid",
    "legendre_functions",
    "spherical_harmonics",
    "spherical_harmonics_gradient",
    "spherical_synthesis",
    "spherical_transform",
]
