"""The long range of given charges as one Chebyshev-Tucker tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.potentials.radial.split import Split
from sci.potentials.range_separated.assemble import long_range_coefficients
from sci.tensor import ChebTuck

__all__ = ["CHEBYSHEV_SHARE", "TUCKER_SHARE", "build_long_range", "charge_scale"]

CHEBYSHEV_SHARE = 0.5
TUCKER_SHARE = 0.8
"""Parts of the tolerance: the cutoff takes 0.8 too. The three errors are independent and well below their bounds."""

LARGEST_CHARGE = 1e290
"""Charges, summed in size, beyond which potentials near one may leave the range of float64."""

Domain = Any


def charge_scale(charges: Array) -> float:
    """Return the power of two next below the largest charge, 1 without charges: norms are taken in its unit.

    Raises
    ------
    InvalidValueError
        For charges whose potential would overflow.
    """
    largest = float(namespace(charges).abs(charges).max()) if len(charges) else 0.0
    if not largest * max(len(charges), 1) < LARGEST_CHARGE:
        raise InvalidValueError(
            f"charges up to {largest:.3g} e: their potential would overflow float64; expected at most "
            f"{LARGEST_CHARGE / max(len(charges), 1):.0e}: pass them in another unit"
        )
    return 2.0 ** math.floor(math.log2(largest)) if largest > 0.0 else 1.0


def build_long_range(
    positions: Array, charges: Array, split: Split, domain: Domain, tol: float, scale: float, comm: Any = None
) -> ChebTuck:
    """Return the long range of this rank's charges and those of all others, to `tol`.

    Parameters
    ----------
    positions, charges : (n, 3), (n,) float64
        Those of this rank.
    split : Split
    domain : three (float, float)
    tol : float
        Relative to the Frobenius norm of the coefficients.
    scale : float
        Unit of the charges while norms are taken: that of `charge_scale` of all charges.
    comm : mpi4py communicator, optional

    Notes
    -----
    Collective over `comm`.
    """
    xp = namespace(positions, charges)
    if split.all_short:
        ones = tuple(xp.ones((1, 1)) for _ in range(3))
        return ChebTuck(xp.zeros((1, 1, 1)), ones, domain)
    coefficients = long_range_coefficients(
        positions, charges / scale, split.gaussians, domain, CHEBYSHEV_SHARE * tol, comm
    )
    # A Gram matrix would amplify the rounding of the ranks' sums to 1e-11; triangular factors keep it at 1e-15.
    found = ChebTuck.from_coefficients(coefficients, domain, TUCKER_SHARE * tol, method="qr")
    return ChebTuck(found.core * np.float64(scale), found.factors, domain)
