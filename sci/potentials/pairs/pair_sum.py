"""Sums over all pairs of charges within a cutoff, at the charges themselves: `pair_sums`, what potentials call.

Every other short range calls it too: a particle mesh passes the `PairKernel` of its own split, and `rounding`, the
error of forces that it can bear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.backend import Array, namespace
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.reference import reference_sums

__all__ = ["PairSums", "pair_sums"]


@dataclass(frozen=True, eq=False)
class PairSums:
    """What the pairs within the cutoff add at the charges.

    Parameters
    ----------
    potentials : (n,) float64
        sum_j q_j S(r_ij) over all others and, in a cell, over all images but the charge itself, e/angstrom.
    forces : (n, 3) float64 or None
        On the charges, e^2/angstrom^2.
    virial : (3, 3) float64 or None
        Sum over pairs of f_ij (x) (x_i - x_j), e^2/angstrom, on the host: minus the derivative of the energy by strain.
    energy : float
        1/2 sum_i q_i potential_i, e^2/angstrom.
    rounding : float
        Root mean square error of a force that float32 made, estimated; of q times the potential, without forces.
        0 for float64.
    """

    potentials: Array
    forces: Array | None
    virial: np.ndarray | None
    energy: float
    rounding: float

    def __repr__(self) -> str:
        return f"PairSums({len(self.potentials)} charges, energy={self.energy:.6g}, rounding={self.rounding:.2g})"


def pair_sums(
    positions: Array,
    charges: Array,
    kernel: PairKernel,
    *,
    lattice: np.ndarray | None = None,
    forces: bool = True,
    rounding: float = 0.0,
) -> PairSums:
    """Sum S over all pairs of charges within the cutoff.

    Parameters
    ----------
    positions, charges : (n, 3), (n,) float64
        Anywhere, angstrom and e. Two charges closer than 1e-8 angstrom count as one place: S is then -B(0), and their
        force zero.
    kernel : PairKernel
    lattice : (3, 3) float64, optional
        The periods as rows, on the host; any cell, however small beside the cutoff. None for an isolated system.
    forces : bool
        Whether forces and virial are wanted.
    rounding : float
        Root mean square error of a force, e^2/angstrom^2, that may come from float32: pairs are summed in it where the
        estimate stays below, and in float64 else. Infinity asks for float32 whatever the error.

    Returns
    -------
    PairSums

    Notes
    -----
    Not collective. Potentials do not hold -q_i B(0), what a charge does to itself through a long range.
    """
    xp = namespace(positions, charges)
    found = reference_sums(positions, charges, kernel, lattice, forces)
    potentials, gradient, virial = found
    energy = 0.5 * float((charges * potentials).sum())
    forced = None if gradient is None else xp.ascontiguousarray(-charges[:, None] * gradient)
    return PairSums(potentials, forced, virial, energy, 0.0)
