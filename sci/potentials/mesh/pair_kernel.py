"""The pair kernel of a mesh split: a polynomial in the squared distance, of the lowest degree that is exact enough."""

from __future__ import annotations

import functools

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from sci.potentials.mesh.errors import MeshSplit
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.radial.split import DEGREES

__all__ = ["pair_kernel"]

SHARE = 0.1
"""Error of the polynomial over that of the split."""


@functools.lru_cache(maxsize=64)
def pair_kernel(split: MeshSplit, error: float, strength: float) -> PairKernel:
    """Return the pair kernel of a split.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    error : float
        Root mean square error of a force, e^2/angstrom^2, of which the polynomial takes a tenth.
    strength : float
        See `ChargeSizes`.

    Returns
    -------
    PairKernel
    """
    b, g = split.polynomials(DEGREES[-1])
    # An error e of G makes one of e strength sqrt(4 pi r_c^5 / 5) in the force of pairs without correlation.
    allowed = SHARE * error / (strength * np.sqrt(4 * np.pi * split.cutoff**5 / 5)) if strength else np.inf
    tails = np.cumsum(np.abs(g[::-1]))[::-1]  # of the coefficients from each degree on
    degree = next((d for d in DEGREES if d + 1 > len(g) or tails[min(d, len(g) - 1)] <= allowed), DEGREES[-1])
    return PairKernel(split.cutoff, cheb2poly(b[: degree + 1]))
