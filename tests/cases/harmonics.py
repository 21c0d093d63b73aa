"""Spherical harmonics of SciPy under their new name, which versions before 1.15 do not have."""

from __future__ import annotations

import numpy as np
from scipy import special

__all__ = ["sph_harm_y"]


def sph_harm_y(degree: np.ndarray, order: np.ndarray, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Return Y_degree^order at polar angle `theta` and azimuth `phi`."""
    if hasattr(special, "sph_harm_y"):
        return np.asarray(special.sph_harm_y(degree, order, theta, phi))
    return np.asarray(special.sph_harm(order, degree, phi, theta))
