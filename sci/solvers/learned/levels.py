"""The grids of the learned V-cycle: finite-volume Poisson operators on cells that double in width from level to level.

Grids are arrays (..., nx, ny, nz); leading axes are a batch of problems of one shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sci.backend import Array, namespace

__all__ = [
    "BatchLevel",
    "apply_stencil",
    "coarser",
    "diagonal_of",
    "first_level",
    "hierarchy",
    "inactive_fraction",
    "pair_mean",
    "rescaling",
    "restrict",
    "surface_factor",
    "upsample",
]

COARSEST = 128
"""Cells of the level that is solved directly, at most."""

NEAREST = 0.1
"""Least distance between a surface and the center of a coarse cell that it cuts, in widths of the cell."""

CUT_OFF = 0.6
"""Largest inactive fraction of an interpolation that is compensated; in a corner of Neumann walls it is 0.58."""


@dataclass(frozen=True)
class BatchLevel:
    """One level of a batch of problems: (A u)_i = sum_j link_ij (u_i - u_j) + dirichlet_i u_i, and its fluid fractions.

    Parameters
    ----------
    offdiag : three arrays, one entry shorter along their own axis
        Weight of the face between a cell and the next one along the axis.
    dirichlet : (..., nx, ny, nz) array
        Weight of the Dirichlet faces of each cell.
    fraction : (..., nx, ny, nz) array
        Part of the cell that is fluid; a cell is an unknown where it is not zero.
    closed : (..., nx, ny, nz) array
        Part of the cell that is a Neumann body.
    walls : three pairs of bool
        True where the low and the high wall of an axis is Dirichlet.
    depth : int
        0 for the given grid.
    """

    offdiag: tuple[Array, Array, Array]
    dirichlet: Array
    fraction: Array
    closed: Array
    walls: Any
    depth: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along each axis."""
        nx, ny, nz = self.fraction.shape[-3:]
        return nx, ny, nz

    @property
    def coarsened(self) -> int:
        """Number of axes that the next level coarsens: all that have more than one cell."""
        return sum(n > 1 for n in self.shape)


def part(axis: int, start: int | None, stop: int | None = None, step: int | None = None) -> tuple[Any, ...]:
    """Return the index of a slice along `axis` (-3, -2 or -1) of a batch of grids."""
    return (Ellipsis, *(slice(start, stop, step) if a == axis else slice(None) for a in (-3, -2, -1)))


LOW = {axis: part(axis, None, -1) for axis in (-3, -2, -1)}
HIGH = {axis: part(axis, 1) for axis in (-3, -2, -1)}
EVEN = {axis: part(axis, 0, None, 2) for axis in (-3, -2, -1)}
ODD = {axis: part(axis, 1, None, 2) for axis in (-3, -2, -1)}


def first_level(fluid: Array, neumann_body: Array, walls: Any, dtype: Any) -> BatchLevel:
    """Return the level of given cells, with weight 1 on every open face.

    Parameters
    ----------
    fluid, neumann_body : (..., nx, ny, nz) bool arrays
        Unknowns, and the solid cells with a Neumann surface; every other solid cell is Dirichlet.
    walls : three pairs of bool
        True where the low and the high wall of an axis is Dirichlet; a wall that is not is Neumann.
    dtype : dtype
    """
    open_cells = fluid.astype(dtype)
    fixed = (~fluid & ~neumann_body).astype(dtype)
    dirichlet = namespace(fluid).zeros_like(open_cells)
    for axis, (low, high) in zip((-3, -2, -1), walls):
        dirichlet[HIGH[axis]] += fixed[LOW[axis]]
        dirichlet[LOW[axis]] += fixed[HIGH[axis]]
        dirichlet[part(axis, 0, 1)] += low
        dirichlet[part(axis, -1)] += high
    x, y, z = (open_cells[HIGH[axis]] * open_cells[LOW[axis]] for axis in (-3, -2, -1))
    closed = (~fluid & neumann_body).astype(dtype)
    return BatchLevel((x, y, z), dirichlet * open_cells, open_cells, closed, tuple(walls), 0)


def _pair_sum(x: Array, axis: int) -> Array:
    """Sum cells 2 I and 2 I + 1 along an axis of more than one cell."""
    n = x.shape[axis]
    if n == 1:
        return x
    total = x[EVEN[axis]].copy()
    total[part(axis, 0, n // 2)] += x[ODD[axis]]
    return total


def pair_mean(x: Array, axis: int) -> Array:
    """Return the mean of cells 2 I and 2 I + 1 along an axis; a last cell without a partner stays as it is."""
    total, n = _pair_sum(x, axis), x.shape[axis]
    if n > 1:
        total[part(axis, 0, n // 2)] *= 0.5
    return total


def wall_factor(depth: int) -> float:
    """Return the weight of a Dirichlet face relative to that of an inner one.

    The zero lies half a fine cell beyond the face, so at (2^depth + 1) / 2 fine cells from the center, not at 2^depth.
    """
    return 2.0 / (1.0 + 0.5**depth)


def coarser(level: BatchLevel) -> BatchLevel:
    """Return the level of cells twice as wide.

    The flux between two coarse cells runs through the open fine faces between them over twice the distance. In three
    dimensions the operator is scaled by 1/2, so that a link is the mean of the four fine ones.
    """
    scale = 0.5 ** (level.coarsened - 1)
    offdiag = []
    for axis, link in zip((-3, -2, -1), level.offdiag):
        crossing = link[ODD[axis]] if level.shape[axis] > 1 else link
        for other in (-3, -2, -1):
            crossing = crossing if other == axis else _pair_sum(crossing, other)
        offdiag.append(crossing * scale)
    dirichlet, fraction, closed = level.dirichlet, level.fraction, level.closed
    for axis in (-3, -2, -1):
        dirichlet, fraction = _pair_sum(dirichlet, axis), _pair_sum(fraction, axis)
        closed = pair_mean(closed, axis)
    stiffening = wall_factor(level.depth + 1) / wall_factor(level.depth)
    fraction = fraction * 0.5**level.coarsened
    x, y, z = offdiag
    return BatchLevel((x, y, z), dirichlet * (scale * stiffening), fraction, closed, level.walls, level.depth + 1)


def surface_factor(fraction: Array, depth: int) -> Array:
    """Return the factor of the Dirichlet term of a cell that a surface cuts, relative to a full cell.

    A surface that leaves the part f of a cell to the fluid has its zero f - 1/2 + 1/2^(depth + 1) widths from the
    center, and the flux to it is inverse to that.
    """
    beyond = 0.5 ** (depth + 1)
    return (0.5 + beyond) / namespace(fraction).maximum(fraction + (beyond - 0.5), NEAREST)


def inactive_fraction(fraction: Array, closed: Array, walls: Any) -> Array:
    """Return the part of an interpolation that each coarse cell loses, with one layer of cells around the grid.

    It is 1 in Neumann bodies and beyond Neumann walls, and 0 in unknowns and where the solution vanishes.
    """
    xp = namespace(fraction)
    lost = xp.where(fraction > 0, 0, closed).astype(fraction.dtype)
    lost = xp.pad(lost, [(0, 0)] * (lost.ndim - 3) + [(1, 1)] * 3, constant_values=1)
    for axis, ends in zip((-3, -2, -1), walls):
        for dirichlet, place in zip(ends, (part(axis, 0, 1), part(axis, -1))):
            lost[place] *= not dirichlet
    return lost


def rescaling(fine: BatchLevel, coarse: BatchLevel, interpolation_weight: float) -> tuple[Array, Array] | None:
    """Return the factor of the interpolation to cells beside Neumann surfaces, and the derivative by its weight.

    None if there are no such surfaces. Coarse cells without an unknown hold zeros; beside Neumann surfaces the weights
    of the others are raised to sum to one, so that constants stay constant.
    """
    xp, lost = namespace(coarse.fraction), inactive_fraction(coarse.fraction, coarse.closed, coarse.walls)
    if not bool(lost.any()):
        return None
    slope = xp.zeros_like(lost)
    for axis, n in zip((-3, -2, -1), fine.shape):
        cell = xp.arange(n)
        parent = cell // 2 + 1 if n > 1 else cell + 1
        near, dnear = lost.take(parent, axis), slope.take(parent, axis)
        if n > 1:
            other = parent + 2 * (cell % 2) - 1
            far, dfar = lost.take(other, axis), slope.take(other, axis)
            near, dnear = (
                near + interpolation_weight * (far - near),
                dnear + interpolation_weight * (dfar - dnear) + (far - near),
            )
        lost, slope = near, dnear
    factor = 1 / (1 - xp.minimum(lost, CUT_OFF))
    return factor, xp.where(lost < CUT_OFF, factor * factor * slope, 0)


def hierarchy(level: BatchLevel) -> list[BatchLevel]:
    """Return all levels from the given one down to at most `COARSEST` cells."""
    levels = [level]
    while levels[-1].shape[0] * levels[-1].shape[1] * levels[-1].shape[2] > COARSEST:
        levels.append(coarser(levels[-1]))
    return levels


def diagonal_of(offdiag: tuple[Array, Array, Array], dirichlet: Array) -> Array:
    """Return the sum of the weights of the faces of each cell."""
    total = dirichlet.copy()
    for axis, link in zip((-3, -2, -1), offdiag):
        total[HIGH[axis]] += link
        total[LOW[axis]] += link
    return total


def apply_stencil(offdiag: tuple[Array, Array, Array], diagonal: Array, x: Array) -> Array:
    """Return diagonal x minus the sum over the neighbors of link times x."""
    out = diagonal * x
    for axis, link in zip((-3, -2, -1), offdiag):
        out[HIGH[axis]] -= link * x[LOW[axis]]
        out[LOW[axis]] -= link * x[HIGH[axis]]
    return out


def upsample(coarse: Array, axis: int, n: int, interpolation_weight: float) -> Array:
    """Interpolate along one axis to `n` cells: (1 - weight) parent + weight times the nearer of its neighbors.

    Zero stands beyond the ends; a weight of 1/4 is linear. An axis of one cell is copied.
    """
    if n == 1:
        return coarse
    shape = list(coarse.shape)
    shape[axis] *= 2
    out = namespace(coarse).empty(shape, coarse.dtype)
    even, odd = out[EVEN[axis]], out[ODD[axis]]
    even[...] = (1 - interpolation_weight) * coarse
    odd[...] = even
    even[HIGH[axis]] += interpolation_weight * coarse[LOW[axis]]
    odd[LOW[axis]] += interpolation_weight * coarse[HIGH[axis]]
    return out[part(axis, 0, n)]


def restrict(fine: Array, axis: int, interpolation_weight: float) -> Array:
    """Apply the transpose of `upsample` along one axis."""
    n = fine.shape[axis]
    if n == 1:
        return fine
    even, odd = fine[EVEN[axis]], fine[ODD[axis]]
    out = (1 - interpolation_weight) * _pair_sum(fine, axis)
    out[LOW[axis]] += interpolation_weight * even[HIGH[axis]]
    out[HIGH[axis]] += interpolation_weight * (odd[LOW[axis]] if n % 2 == 0 else odd)
    return out
