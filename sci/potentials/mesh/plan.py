"""Which cutoff, bandwidth, grid and window a mesh takes: the fastest that its error formulas allow."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from sci.backend import ArrayLike
from sci.potentials.mesh.errors import SHARES, ChargeSizes, MeshSplit, aliasing, mesh_force_error
from sci.potentials.mesh.gaussian import GaussianSplit
from sci.potentials.mesh.prolate import LEAST_C, ProlateSplit
from sci.potentials.mesh.window import LANES, ORDERS

__all__ = ["MeshPlan", "check_plan", "plan_mesh"]

NEIGHBORS = (15, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453, 640, 905, 1280)
"""Charges within the cutoff that are tried."""
FEW = (0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Cutoffs that are tried for few charges, over the edge of the cell."""
ROUNDS = 6
MOST_POINTS = 1 << 27
"""Points of a grid."""
PAIR = {"float32": 1.9e-9, "float64": 3.1e-9}
LISTED = {"float32": 1.1e-7, "float64": 1.7e-7}
TOUCHED = {"float32": 2.4e-9, "float64": 3.4e-9}
POINT = {"float32": 7e-9, "float64": 1.1e-8}
"""Seconds of a pair, of a charge in the list of pairs, of a row that a charge touches, and of a point of the grid, on
one core; only their ratios matter for the choice."""


@dataclass(frozen=True)
class MeshPlan:
    """How a cell is evaluated on a mesh.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    grid : (int, int, int)
        Points along each period.
    order : int
        Points along an axis that a charge touches.
    dtype : "float32" or "float64"
        Of the grid.
    force_error : float, e^2/angstrom^2
        Predicted root mean square error of a force: of the split and of the mesh, for charges without correlation.
    seconds : float
        The model's time of an evaluation on one core.
    """

    split: MeshSplit
    grid: tuple[int, int, int]
    order: int
    dtype: str
    force_error: float
    seconds: float

    def __repr__(self) -> str:
        grid = " x ".join(map(str, self.grid))
        return (
            f"MeshPlan({self.split!r}, grid {grid}, order={self.order}, {self.dtype}, "
            f"force_error={self.force_error:.2g})"
        )


@functools.lru_cache(maxsize=64)
def plan_mesh(cell: tuple[float, ...], sizes: ChargeSizes, error: float, single: bool) -> MeshPlan | None:
    """Return the fastest mesh whose predicted error is at most `error`; None if there is none.

    Parameters
    ----------
    cell : 9 floats
        The periods, angstrom.
    sizes : ChargeSizes
    error : float
        Root mean square error of a force, e^2/angstrom^2; positive.
    single : bool
        Whether float32 is exact enough.

    Returns
    -------
    MeshPlan or None

    Notes
    -----
    Split and mesh take the error divided by sqrt 2 each. The optimum is flat: a third more pairs cost what a grid that
    is a tenth finer costs.
    """
    if sizes.strength == 0:  # nothing to be wrong about
        return MeshPlan(ProlateSplit(LEAST_C, 0.3 * _edge(cell)), (LANES,) * 3, ORDERS[0], "float64", 0.0, 0.0)
    return _reached(ProlateSplit, np.reshape(cell, (3, 3)), sizes, error, ORDERS, "float32" if single else "float64")


@functools.lru_cache(maxsize=64)
def check_plan(cell: tuple[float, ...], sizes: ChargeSizes, error: float) -> MeshPlan | None:
    """Return a mesh with another split, Ewald's, in float64 and with the widest window, to compare others with.

    Parameters
    ----------
    cell, sizes, error
        As in `plan_mesh`.

    Returns
    -------
    MeshPlan or None
    """
    if sizes.strength == 0:
        return None
    return _reached(GaussianSplit, np.reshape(cell, (3, 3)), sizes, error, ORDERS[-1:], "float64")


def _reached(
    kind: type[MeshSplit], cell: np.ndarray, sizes: ChargeSizes, error: float, orders: tuple[int, ...], dtype: str
) -> MeshPlan | None:
    """Return the fastest mesh whose whole error is at most `error`."""
    part = error / math.sqrt(2)
    splits = [kind.of_error(cutoff, sizes.strength, part) for cutoff in _cutoffs(cell, sizes.n)]
    for _ in range(ROUNDS):
        best = _fastest([s for s in splits if s is not None], cell, sizes, part, orders, dtype)
        if best is None or best.force_error <= error:
            return best
        part *= 0.8 * error / best.force_error  # the force of charges on themselves is not in `aliasing`
    return None


def _fastest(
    splits: Sequence[MeshSplit],
    cell: np.ndarray,
    sizes: ChargeSizes,
    error: float,
    orders: tuple[int, ...],
    dtype: str,
) -> MeshPlan | None:
    """Return the fastest mesh for an error of pairs on the grid, with all of its errors."""
    best: MeshPlan | None = None
    for split in splits:
        for order in orders:
            grid = _grid(split, cell, order, sizes.strength, error)
            if grid is not None:
                seconds = _seconds(split, grid, order, sizes.n, cell, dtype)
                if best is None or seconds < best.seconds:
                    best = MeshPlan(split, grid, order, dtype, 0.0, seconds)
    return None if best is None else replace(best, force_error=_error(best.split, cell, best.grid, best.order, sizes))


def _error(split: MeshSplit, cell: np.ndarray, grid: tuple[int, int, int], order: int, sizes: ChargeSizes) -> float:
    return math.hypot(split.force_error(sizes.strength), mesh_force_error(split, cell, grid, order, sizes))


def _cutoffs(cell: np.ndarray, n: int) -> list[float]:
    edge = _edge(cell)
    if n < NEIGHBORS[0]:  # few charges: cutoffs by the cell, whose images are the neighbors
        return [share * edge for share in FEW]
    return [edge * (3 * neighbors / (4 * math.pi * n)) ** (1 / 3) for neighbors in NEIGHBORS]


def _edge(cell: ArrayLike) -> float:
    """Return the edge of the cube of the same volume."""
    return float(abs(np.linalg.det(np.reshape(cell, (3, 3)))) ** (1 / 3))


def _grid(split: MeshSplit, cell: np.ndarray, order: int, strength: float, error: float) -> tuple[int, int, int] | None:
    """Return the coarsest grid whose error is at most `error`; None if none of `SHARES` reaches it."""
    errors = aliasing(split, order) * strength
    reached = np.flatnonzero(errors <= error)
    if not len(reached):
        return None
    grid = _points(split.k_max, float(SHARES[reached[-1]]), cell)
    return grid if math.prod(grid) <= MOST_POINTS else None


def _points(k_max: float, share: float, cell: np.ndarray) -> tuple[int, int, int]:
    """Return the points along each period where `k_max` is at most a share of pi over the spacing."""
    counts = np.ceil(k_max * np.linalg.norm(cell, axis=1) / (math.pi * share)).astype(int)
    n1, n2, n3 = (_fast_length(max(int(count), LANES)) for count in counts)
    return n1, n2, n3


def _fast_length(n: int) -> int:
    """Return the next even product of 2, 3 and 5."""
    while n % 2 or scipy.fft.next_fast_len(n, real=True) != n:
        n += 1
    return n


def _seconds(split: MeshSplit, grid: tuple[int, int, int], order: int, n: int, cell: np.ndarray, dtype: str) -> float:
    density = n / abs(float(np.linalg.det(cell)))
    pairs = n * 2 / 3 * math.pi * split.cutoff**3 * density
    touched = n * order**2
    return PAIR[dtype] * pairs + LISTED[dtype] * n + TOUCHED[dtype] * touched + POINT[dtype] * math.prod(grid)
