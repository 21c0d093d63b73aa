"""The long range of given charges as one Chebyshev-Tucker tensor."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from sci.backend import Array, namespace, to_host
from sci.distributed import size
from sci.errors import InvalidValueError
from sci.potentials.forcefield.exclusions import Exclusions
from sci.potentials.measured.places import neighbor_distances
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import RadialKernel
from sci.potentials.radial.split import Split, continuous, split_kernel
from sci.potentials.range_separated.assemble import long_range_coefficients
from sci.potentials.range_separated.cost import LEAST_TOL, choose_split
from sci.tensor import ChebTuck
from sci.tensor.boxes.grid import BoxGrid

__all__ = [
    "CHEBYSHEV_SHARE",
    "TUCKER_SHARE",
    "Accuracy",
    "bounds",
    "build_long_range",
    "charge_scale",
    "check_settings",
    "choose",
    "close_pairs",
    "first_share",
    "first_tolerance",
    "own_arrays",
]

CHEBYSHEV_SHARE = 0.5
TUCKER_SHARE = 0.8
"""Parts of the tolerance: the cutoff takes 0.8 too. The three errors are independent and well below their bounds."""

Accuracy = Literal["potential", "forces"]

ACCURACIES = ("potential", "forces")
NEIGHBORS = 128
"""Particles whose nearest neighbors say where a screened potential matters."""
CLOSE = 0.05
"""Distance of a pair over the cutoff below which its ends on two sides of the cutoff would decide the error."""
LARGEST_PADDING = 1e9
"""Margin in angstrom that leaves places within the box seven digits."""
MOST_TARGETS = 1e9
"""Evaluations that a split may be chosen for; its boxes then take gigabytes, and more would take terabytes."""
MOST_WIDTHS = 1e4
"""Widths of the narrowest Gaussian of the long range along an axis."""
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
    """Return the long range of charges, to `tol`; it does not depend on the number of ranks that share the work.

    Parameters
    ----------
    positions, charges : (n, 3), (n,) float64
        All of them, the same on all ranks.
    split : Split
    domain : three (float, float)
    tol : float
        Relative to the Frobenius norm of the coefficients.
    scale : float
        Unit of the charges while norms are taken: that of `charge_scale`.
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
    # A Gram matrix would amplify rounding, that of another BLAS for example, to 1e-11; triangular factors keep 1e-15.
    found = ChebTuck.from_coefficients(coefficients, domain, TUCKER_SHARE * tol, method="qr")
    return ChebTuck(found.core * np.float64(scale), found.factors, domain)


def first_share(accuracy: str, tol: float) -> float:
    """Return the tolerance of the first build in units of `tol`: of the potential, or of the field where it is least.

    Measured on water and on random charges, whose field far from all charges errs most; that of the particles errs 30
    times less, as `tol` holds for the worst place. A build that misses is made again.
    """
    return 1.0 if accuracy == "potential" else 0.015 * (tol / 1e-3) ** 0.16


def first_tolerance(
    kernel: RadialKernel, tol: float, alpha: float | None, positions: Array, padding: float
) -> tuple[float, float]:
    """Return the least tolerance that a build may take, and that of the first one."""
    if kernel.kappa == 0:
        return LEAST_TOL, max(tol, LEAST_TOL)
    # The error is measured against what screening leaves of the potential at the neighbors, and at the faces.
    low, high = bounds(positions)
    spacing = float(((high - low).prod() / len(positions)) ** (1 / 3))
    neighbors = neighbor_distances(positions, NEIGHBORS)
    distance = max(min(padding, spacing), float(np.median(np.where(np.isfinite(neighbors), neighbors, 0.0))))
    least = LEAST_TOL if alpha is not None else 1e-300
    return least, max(tol * math.exp(-min(kernel.kappa * distance, 600.0)), least)


def choose(
    kernel: RadialKernel,
    tol: float,
    alpha: float | None,
    domain: tuple[tuple[float, float], ...],
    positions: Array,
    expected_targets: float,
) -> Split:
    """Return the split at `alpha`, or the cheapest one; continuous for particles that come in close pairs."""
    if alpha is not None:
        longest = max(high - low for low, high in domain)
        if alpha > MOST_WIDTHS / longest:
            raise InvalidValueError(
                f"alpha is {alpha:g} /angstrom; expected at most {MOST_WIDTHS / longest:.3g} in a box of {longest:.3g} "
                "angstrom, where the long range has terabytes of coefficients"
            )
        split = split_kernel(kernel, tol, math.dist(*zip(*domain)), alpha)
    else:
        grid = BoxGrid(domain, (16, 16, 16))
        counts = np.diff(to_host(grid.sort(positions)[1]))
        split = choose_split(kernel, tol, CHEBYSHEV_SHARE * tol, domain, counts, expected_targets)
    return continuous(split) if close_pairs(positions, split.cutoff) else split


def close_pairs(positions: Array, cutoff: float) -> bool:
    """Return True if most particles have a neighbor at `CLOSE` of the cutoff or nearer, as Drude particles do."""
    return bool(np.median(neighbor_distances(positions, NEIGHBORS)) < CLOSE * cutoff)


def bounds(positions: Array) -> tuple[Array, Array]:
    """Return the corners of the box of the positions."""
    return positions.min(axis=0), positions.max(axis=0)


def check_settings(
    particles: Particles | None,
    tol: float,
    accuracy: str,
    expected_targets: float,
    padding: float,
    comm: Any,
    exclusions: Exclusions | None = None,
) -> None:
    """Raise for arguments of `RangeSeparatedPotential` that no potential can be built with."""
    if particles is None and size(comm) == 1:
        raise InvalidValueError("particles is None; expected Particles (None only for a rank that has none)")
    if particles is not None and particles.cell is not None:
        raise InvalidValueError(
            "the particles have a periodic cell, and this potential is that of an isolated system; "
            "use PeriodicPotential, or pass dataclasses.replace(particles, cell=None) to leave the cell out"
        )
    if particles is not None and particles.exclusions is not None and size(comm) > 1:
        raise InvalidValueError(
            "the particles have exclusions and are spread over ranks, where pairs lie on two of them; expected those "
            "of all ranks' particles, as exclusions= of the potential, the same on each rank"
        )
    if exclusions is not None and particles is not None and particles.exclusions is not None:
        raise InvalidValueError("the particles have exclusions and exclusions= are given; expected one of the two")
    if not 1e-11 <= tol <= 0.1:
        raise InvalidValueError(f"tol is {tol}; expected a number from 1e-11 to 0.1")
    if accuracy not in ACCURACIES:
        raise InvalidValueError(f"accuracy is {accuracy!r}; expected 'potential' or 'forces'")
    if not 1 <= expected_targets <= MOST_TARGETS:
        raise InvalidValueError(f"expected_targets is {expected_targets}; expected a number from 1 to {MOST_TARGETS:g}")
    if not 0 < padding <= LARGEST_PADDING:
        raise InvalidValueError(f"padding is {padding} angstrom; expected a positive number up to {LARGEST_PADDING:g}")


def own_arrays(particles: Particles | None) -> tuple[Array, Array]:
    """Return positions (n, 3) and charges (n,) of this rank, n = 0 for None."""
    if particles is None:
        return np.empty((0, 3)), np.empty(0)
    return particles.positions, particles.charges
