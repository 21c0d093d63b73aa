"""Which cutoff, bandwidth, grid and window a mesh takes: the fastest that its error formulas allow."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.fft

from sci.potentials.mesh.errors import SHARES, ChargeSizes, MeshSplit, aliasing, mesh_force_error
from sci.potentials.mesh.gaussian import GaussianSplit
from sci.potentials.mesh.isolated import isolated_grid
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
PAIR = {"float32": 1.7e-9, "float64": 3.6e-9}
LISTED = {"float32": 4.1e-7, "float64": 4.2e-7}
TOUCHED = {"float32": 2.8e-9, "float64": 3.6e-9}
POINT = {"float32": 7e-9, "float64": 1.1e-8}
"""Seconds of a pair, of a charge in the list of pairs, of a row that a charge touches, and of a point of the grid, on
one core; only their ratios matter for the choice (`benchmarks/choices.py` prints them beside those of a machine)."""
DOUBLED = 5.5
"""Seconds of a point of the grid of isolated charges, which is doubled, over those of a point of a cell."""


@dataclass(frozen=True)
class MeshPlan:
    """How a cell, or isolated charges, are evaluated on a mesh.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    grid : (int, int, int)
        Points along each period, or along each edge of the box with isolated charges.
    order : int
        Points along an axis that a charge touches.
    dtype : "float32" or "float64"
        Of the grid.
    force_error : float, e^2/angstrom^2
        Predicted root mean square error of a force: of the split and of the mesh, for charges without correlation.
    seconds : float
        The model's time of an evaluation on one core.
    edges : (float, float, float), optional
        Of the grid around isolated charges, angstrom; None for a cell.
    """

    split: MeshSplit
    grid: tuple[int, int, int]
    order: int
    dtype: str
    force_error: float
    seconds: float
    edges: tuple[float, float, float] | None = None

    def __repr__(self) -> str:
        grid = " x ".join(map(str, self.grid))
        return (
            f"MeshPlan({self.split!r}, grid {grid}, order={self.order}, {self.dtype}, "
            f"force_error={self.force_error:.2g})"
        )


_Grid = tuple[tuple[int, int, int], tuple[float, float, float] | None]


class _Room(NamedTuple):
    """A cell, or the box of isolated charges and the volume that they fill."""

    cell: np.ndarray
    filled: float | None

    @property
    def isolated(self) -> bool:
        return self.filled is not None

    @property
    def volume(self) -> float:
        return abs(float(np.linalg.det(self.cell))) if self.filled is None else self.filled

    @property
    def most_points(self) -> int:
        return MOST_POINTS // 8 if self.isolated else MOST_POINTS


@functools.lru_cache(maxsize=64)
def plan_mesh(
    cell: tuple[float, ...], sizes: ChargeSizes, error: float, single: bool, filled: float | None = None
) -> MeshPlan | None:
    """Return the fastest mesh whose predicted error is at most `error`; None if there is none.

    Parameters
    ----------
    cell : 9 floats
        The periods, angstrom, or the edges of the box of isolated charges along x, y and z.
    sizes : ChargeSizes
    error : float
        Root mean square error of a force, e^2/angstrom^2; positive.
    single : bool
        Whether float32 is exact enough.
    filled : float, optional
        Volume that isolated charges fill, angstrom^3, as they see it; None for a cell.

    Returns
    -------
    MeshPlan or None

    Notes
    -----
    Split and mesh take the error divided by sqrt 2 each. The optimum is flat: a third more pairs cost what a grid that
    is a tenth finer costs.
    """
    if sizes.strength == 0:  # nothing to be wrong about
        room = _Room(np.reshape(cell, (3, 3)), filled)
        split = ProlateSplit(LEAST_C, 0.3 * room.volume ** (1 / 3))
        grid, edges = _laid_out(split, math.inf, ORDERS[0], room)
        return MeshPlan(split, grid, ORDERS[0], "float64", 0.0, 0.0, edges)
    room = _Room(np.reshape(cell, (3, 3)), filled)
    return _reached(ProlateSplit, room, sizes, error, ORDERS, "float32" if single else "float64")


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
    return _reached(GaussianSplit, _Room(np.reshape(cell, (3, 3)), None), sizes, error, ORDERS[-1:], "float64")


def _reached(
    kind: type[MeshSplit], room: _Room, sizes: ChargeSizes, error: float, orders: tuple[int, ...], dtype: str
) -> MeshPlan | None:
    """Return the fastest mesh whose whole error is at most `error`."""
    part = error / math.sqrt(2)
    splits = [kind.of_error(cutoff, sizes.strength, part) for cutoff in _cutoffs(room, sizes.n)]
    for _ in range(ROUNDS):
        best = _fastest([s for s in splits if s is not None], room, sizes, part, orders, dtype)
        if best is None or best.force_error <= error:
            return best
        part *= 0.8 * error / best.force_error  # the force of charges on themselves is not in `aliasing`
    return None


def _fastest(
    splits: Sequence[MeshSplit],
    room: _Room,
    sizes: ChargeSizes,
    error: float,
    orders: tuple[int, ...],
    dtype: str,
) -> MeshPlan | None:
    """Return the fastest mesh for an error of pairs on the grid, with all of its errors."""
    best: MeshPlan | None = None
    for split in splits:
        for order in orders:
            laid_out = _grid(split, room, order, sizes.strength, error)
            if laid_out is not None:
                grid, edges = laid_out
                seconds = _seconds(split, grid, order, sizes.n, room, dtype)
                if best is None or seconds < best.seconds:
                    best = MeshPlan(split, grid, order, dtype, 0.0, seconds, edges)
    return None if best is None else replace(best, force_error=_error(best, room, sizes))


def _error(plan: MeshPlan, room: _Room, sizes: ChargeSizes) -> float:
    cell = room.cell if plan.edges is None else np.diag(plan.edges)
    mesh = mesh_force_error(plan.split, cell, plan.grid, plan.order, sizes)
    return math.hypot(plan.split.force_error(sizes.strength), mesh)


def _cutoffs(room: _Room, n: int) -> list[float]:
    edge = room.volume ** (1 / 3)
    if n < NEIGHBORS[0]:  # few charges: cutoffs by the cell, whose images are the neighbors
        return [share * edge for share in FEW]
    return [edge * (3 * neighbors / (4 * math.pi * n)) ** (1 / 3) for neighbors in NEIGHBORS]


def _grid(split: MeshSplit, room: _Room, order: int, strength: float, error: float) -> _Grid | None:
    """Return the coarsest grid whose error is at most `error`; None if none of `SHARES` reaches it."""
    errors = aliasing(split, order) * strength
    reached = np.flatnonzero(errors <= error)
    if not len(reached):
        return None
    grid, edges = _laid_out(split, float(SHARES[reached[-1]]), order, room)
    return (grid, edges) if math.prod(grid) <= room.most_points else None


def _laid_out(split: MeshSplit, share: float, order: int, room: _Room) -> _Grid:
    """Return the points along each axis where `k_max` is at most a share of pi over the spacing, and edges of a box."""
    spacing = math.pi * share / split.k_max
    lengths = np.linalg.norm(room.cell, axis=1)
    if room.isolated:
        grid, edges = isolated_grid(split, lengths, spacing, order)
        return (grid[0], grid[1], grid[2]), (float(edges[0]), float(edges[1]), float(edges[2]))
    n1, n2, n3 = (_fast_length(max(int(count), LANES)) for count in np.ceil(lengths / spacing))
    return (n1, n2, n3), None


def _fast_length(n: int) -> int:
    """Return the next even product of 2, 3 and 5."""
    while n % 2 or scipy.fft.next_fast_len(n, real=True) != n:
        n += 1
    return n


def _seconds(split: MeshSplit, grid: tuple[int, int, int], order: int, n: int, room: _Room, dtype: str) -> float:
    pairs = n * 2 / 3 * math.pi * split.cutoff**3 * n / room.volume
    points = math.prod(grid) * (DOUBLED if room.isolated else 1)
    return PAIR[dtype] * pairs + LISTED[dtype] * n + TOUCHED[dtype] * n * order**2 + POINT[dtype] * points
