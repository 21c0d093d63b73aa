"""Radial functions of neighbors that end smoothly at the cutoff."""

from __future__ import annotations

import math

import numpy as np

from sci.arguments import entry
from sci.backend import Array, as_finite
from sci.errors import InvalidValueError

__all__ = ["envelope", "radial_basis"]


def envelope(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 - 28 u^6 + 48 u^7 - 21 u^8 on [0, 1], where it falls from 1 to 0, and its derivative."""
    rest = (1 - u) ** 2
    value = rest * (1 - u) * (1 + u * (3 + u * (6 + u * (10 + u * (15 + 21 * u)))))
    return value, -168.0 * u**5 * rest


@entry
def radial_basis(distances: Array, cutoff: float, n_radial: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Return Bessel functions of distances times an envelope, and their derivatives.

    B_n(r) = \sqrt{2 / c} sin(n \pi r / c) / r f(r / c) for n = 1 ... `n_radial` below the cutoff c, 0 beyond, with
    f(u) = 1 - 28 u^6 + 48 u^7 - 21 u^8, so that B_n and its first three derivatives are continuous.

    Parameters
    ----------
    distances : (...) float64, angstrom
        Positive.
    cutoff : float, angstrom
    n_radial : int

    Returns
    -------
    values, slopes : (..., n_radial) float64
        B_n in angstrom^(-3/2), and dB_n / dr.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Gasteiger, Groß and Günnemann, ICLR 2020 (DimeNet), eqs. 7 and 8.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import radial_basis
    >>> values, slopes = radial_basis(np.array([1.0, 5.0]), 5.0, 3)
    >>> values.shape, bool((values[1] == 0).all())
    ((2, 3), True)
    """
    if not 0 < cutoff < math.inf or n_radial < 1:
        raise InvalidValueError(f"cutoff is {cutoff}, n_radial {n_radial}; expected positive numbers")
    r = as_finite(distances, "distances", xp=np)[..., None]
    if not (r > 0).all():
        raise InvalidValueError("distances holds numbers that are not positive; expected distances of separate atoms")
    u = np.minimum(r / cutoff, 1.0)
    ending, falling = envelope(u)
    waves = np.arange(1, n_radial + 1) * (math.pi / cutoff)
    factor = math.sqrt(2 / cutoff)
    sines = factor * np.sin(waves * r) / r
    cosines = factor * waves * np.cos(waves * r) / r
    inside = r < cutoff
    values = np.where(inside, sines * ending, 0.0)
    slopes = np.where(inside, (cosines - sines / r) * ending + sines * falling / cutoff, 0.0)
    return values, slopes
