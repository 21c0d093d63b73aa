"""Functions on the sphere: harmonics, rotations and products of them, transforms on grids, and exact quadrature."""

from sci.spherical.coupling import clebsch_gordan, coupling_paths, gaunt_coefficients
from sci.spherical.gaunt import gaunt_product, scale_degrees
from sci.spherical.grids import SphereGrid
from sci.spherical.harmonics import spherical_harmonics, spherical_harmonics_gradient
from sci.spherical.legendre import legendre_functions
from sci.spherical.paths import clebsch_gordan_product
from sci.spherical.transform import spherical_synthesis, spherical_transform
from sci.spherical.wigner import rotate_coefficients, wigner_matrices

__all__ = [
    "SphereGrid",
    "clebsch_gordan",
    "clebsch_gordan_product",
    "coupling_paths",
    "gaunt_coefficients",
    "gaunt_product",
    "legendre_functions",
    "rotate_coefficients",
    "scale_degrees",
    "spherical_harmonics",
    "spherical_harmonics_gradient",
    "spherical_synthesis",
    "spherical_transform",
    "wigner_matrices",
]
