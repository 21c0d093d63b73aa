"""What pairs add to potentials and their gradients at all charges, each pair summed once."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.pair_sum import LEAST_TOL, fields_of_pairs, sums_within
from sci.potentials.radial.split import Split

__all__ = ["pairs_at_charges"]


def pairs_at_charges(
    positions: Array,
    charges: Array,
    split: Split,
    tol: float,
    *,
    lattice: np.ndarray | None = None,
    gradient: bool = True,
    left_out: Array | None = None,
) -> Array:
    """Return potentials (n, 1), or potentials and gradients (n, 4), that the short range of a split makes at charges.

    Parameters
    ----------
    positions, charges : (n, 3), (n,) float64
    split : Split
        Its long range holds what a charge does to itself, L(0) q, which is taken off.
    tol : float
        Relative error that chooses the precision, see `sums_within`.
    lattice : (3, 3) float64, optional
        Periods as rows, on the host.
    gradient : bool
    left_out : (n, 1) or (n, 4) float64, optional
        As `sums_within` takes it.
    """
    xp = namespace(positions, charges)
    # Forces are products of charges, and may overflow where potentials and gradients do not.
    scale = float(xp.abs(charges).max()) if len(charges) else 1.0
    scale = scale or 1.0
    kernel, unit = PairKernel.of(split), charges / scale
    if tol < LEAST_TOL and len(charges):
        found = fields_of_pairs(positions, unit, kernel, scale, lattice, gradient)
        found[:, 0] -= split.gaussians.at_zero * charges
        return found
    less = None if left_out is None else left_out / scale
    pairs = sums_within(positions, unit, kernel, tol, lattice=lattice, forces=gradient, left_out=less)
    potentials = (pairs.potentials - split.gaussians.at_zero * unit)[:, None]
    return scale * (potentials if pairs.fields is None else xp.concatenate([potentials, -pairs.fields], axis=1))
