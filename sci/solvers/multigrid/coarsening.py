"""Coarse Poisson operators: discretized again on pairs of cells, or averaged from the fine grid."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.solvers.multigrid.level import Level
from sci.solvers.multigrid.transfer import prolong
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.faces import DIRICHLET, FLUID, NEUMANN, WallKinds, padded_kind
from sci.solvers.poisson.grid import Layout

__all__ = [
    "average",
    "body_factor",
    "coarse_fraction",
    "coarse_kind",
    "coarse_reaction",
    "rediscretize",
    "transfer_weights",
    "wall_factors",
    "wall_ratio",
]


def wall_factors(n: int, level: int) -> tuple[float, float]:
    """Return the weights of the faces on the two walls of an axis at a coarse level, relative to inner faces.

    The zero lies half a fine cell beyond the wall; its distance from the center of the nearest coarse cell, in coarse
    cells, is the inverse of the weight: 1, 3/4, 5/8, ... where n is divisible by 2^level.

    Parameters
    ----------
    n : int
        Cells of the axis on the finest level.
    level : int
    """
    coarse, width = n, 2.0**level
    for _ in range(level):
        coarse = (coarse + 1) // 2
    distances = (0.5 + 0.5 / width, (n + 0.5) / width - (coarse - 0.5))
    low, high = (1 / max(0.5, d) for d in distances)
    return low, high


def body_factor(level: int) -> float:
    """Return the weight of the faces on Dirichlet bodies at a coarse level: that of walls on even lengths.

    The zero lies at the center of a fine cell, if the body's surface is that of coarse cells.
    """
    return 2 / (1 + 2.0**-level)


def wall_ratio(level: int) -> float:
    """Return the ratio of the weights of Dirichlet faces at a coarse level and at the one before it."""
    return (1 + 2.0 ** (1 - level)) / (1 + 2.0**-level)


def _children(fine: Layout, coarse: Layout, array: Array, low: int | None = None) -> list[Array]:
    """Return the cells of a padded fine array by their place in a coarse cell; only the first ones along axis `low`."""
    places = [(1,) if axis == low or (fine.is_2d and axis == 0) else (1, 2) for axis in range(3)]
    steps = [1 if fine.is_2d and axis == 0 else 2 for axis in range(3)]
    return [
        array[tuple(slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(place, steps, coarse.lengths))]
        for place in itertools.product(*places)
    ]


def coarse_kind(
    fine: Layout, coarse: Grid, kind: Array, walls: WallKinds, least: float, fraction: Array | None = None
) -> Array:
    """Return the kinds of the coarse cells, padded: unknowns where at least the part `least` of their cells is.

    That part is of the cells of the finest grid if `fraction` holds it (`coarse_fraction`), otherwise of those of the
    level before. Collective.
    """
    xp, lengths = namespace(kind), coarse.layout.lengths
    cells = _children(fine, coarse.layout, kind)
    fluid, closed = xp.zeros(lengths, dtype=np.int8), xp.zeros(lengths, dtype=np.int8)
    for cell in cells:
        fluid += cell == FLUID
        closed += cell == NEUMANN
    solid = 2 * closed > len(cells) - fluid
    unknown = fluid >= least * len(cells) if fraction is None else fraction[coarse.layout.box_key] >= least
    return padded_kind(coarse, xp.where(unknown, FLUID, solid).astype(np.int8), walls)


def coarse_fraction(fine: Layout, fraction: Array) -> Array:
    """Return the part of each coarse cell's cells on the finest grid that are unknowns; both arrays are padded."""
    cells = _children(fine, fine.halved, fraction)
    result = fine.halved.zeros(namespace(fraction), np.float32)
    result[fine.halved.box_key] = sum(cells) / np.float32(len(cells))
    return result


def coarse_reaction(fine: Layout, coarse: Layout, reaction: Array) -> Array:
    """Return the reaction of the coarse cells in their unit: the mean of that of their cells, times 4; padded arrays.

    The reaction is r h^2 over the coefficient's unit, and h doubles.
    """
    cells = _children(fine, coarse, reaction)
    result = coarse.zeros(namespace(reaction), reaction.dtype)
    result[coarse.box_key] = _total(cells) * (4 / len(cells))
    return result


def _beyond(layout: Layout, padded: Array, axis: int, side: int) -> Array:
    key = [slice(1, n + 1) for n in layout.lengths]
    key[axis] = slice(1 + side, layout.lengths[axis] + 1 + side)
    return padded[tuple(key)]


def rediscretize(grid: Grid, kind: Array, factors: Sequence[tuple[float, float]], body: float, dtype: Any) -> Level:
    """Return the operator with unit off-diagonal entries between unknowns, and Dirichlet faces of the weights given.

    Parameters
    ----------
    grid : Grid
    kind : padded int8 array
    factors : (low, high) of each of three axes
        Weights of the faces on Dirichlet walls.
    body : float
        Weight of the faces on Dirichlet bodies.
    dtype : dtype
        Of the diagonal.
    """
    xp, layout = namespace(kind), grid.layout
    inner = layout.box_key
    total = xp.zeros(layout.lengths, dtype=dtype)
    for axis in range(3):
        for side, factor in zip((-1, 1), factors[axis]):
            beyond = _beyond(layout, kind, axis, side)
            total += beyond == FLUID
            weight = xp.full(layout.lengths[axis], body, dtype=dtype)
            weight[0 if side < 0 else -1] = factor
            shape = [1, 1, 1]
            shape[axis] = -1
            total += (beyond == DIRICHLET) * weight.reshape(shape)
    d = layout.zeros(xp, dtype)
    d[inner] = total * (kind[inner] == FLUID)
    return Level(grid, d, None, dtype, kind=kind)


def average(fine: Level, coarse: Grid, kind: Array, ratio: float, dtype: Any) -> Level:
    """Return the operator whose off-diagonal entries are the means of the fine ones through the same face.

    The Dirichlet part of a coarse cell is the sum of those of its cells, spread over the cells of a face, times
    `ratio`: the zero comes nearer, in cells, from level to level.

    Parameters
    ----------
    fine : Level
        In the unit of this level: the next level's unit is four times smaller.
    coarse : Grid
    kind : padded int8 array
        The coarse kinds.
    ratio : float
    dtype : dtype

    Notes
    -----
    Collective.
    """
    xp, old, new = namespace(kind), fine.layout, coarse.layout
    inner = new.box_key
    offdiag = xp.zeros((3, *new.padded_shape), dtype=dtype)
    axes = (1, 2) if old.is_2d else (0, 1, 2)
    per_face = 2 ** (len(axes) - 1)
    around = xp.zeros(new.lengths, dtype=dtype)
    for axis in axes:
        offdiag[axis][inner] = _total(_children(old, new, _offdiag_along(fine, axis), axis)) / per_face
        offdiag[axis] = coarse.fill(offdiag[axis])
        around += _beyond(new, offdiag[axis], axis, 0) + _beyond(new, offdiag[axis], axis, 1)
    dirichlet, d = new.zeros(xp, dtype), new.zeros(xp, dtype)
    dirichlet[inner] = _total(_children(old, new, _dirichlet_part(fine))) * (ratio / per_face)
    d[inner] = around + dirichlet[inner]
    return Level(coarse, d, offdiag, dtype, kind=kind, dirichlet=dirichlet)


def _total(parts: list[Array]) -> Array:
    result = parts[0].astype(np.int8) if parts[0].dtype == bool else parts[0].copy()
    for part in parts[1:]:
        result += part
    return result


def _offdiag_along(level: Level, axis: int) -> Array:
    """Return the off-diagonal entries of each cell to the one before it along an axis, padded."""
    if level.offdiag is not None:
        return level.offdiag[axis]
    fluid = level.kind == FLUID
    key, back = [slice(None)] * 3, [slice(None)] * 3
    key[axis], back[axis] = slice(1, None), slice(None, -1)
    fluid[tuple(key)] &= level.kind[tuple(back)] == FLUID
    return fluid


def _dirichlet_part(level: Level) -> Array:
    """Return the Dirichlet part of the diagonal, padded."""
    if level.dirichlet is not None:
        return level.dirichlet
    count = level.layout.zeros(namespace(level.kind), np.int8)
    inner = level.layout.box_key
    fixed = (level.kind == DIRICHLET).view(np.int8)
    for axis in range(3):
        for side in (-1, 1):
            count[inner] += _beyond(level.layout, fixed, axis, side)
    count *= level.kind == FLUID
    return count


def transfer_weights(fine: Layout, kind: Array, coarse: Array, dtype: Any) -> Array | None:
    """Return the factor of the interpolation to each unknown, which is not 1 where a Neumann wall or body cuts it off.

    The interpolation reads zeros in cells that are not unknowns. That is right where the solution vanishes there. Where
    nothing flows, the factor raises the weights of the other cells to sum to one, so that constants stay constant.

    Parameters
    ----------
    fine : Layout
    kind, coarse : padded int8 array
        The kinds of the fine and the coarse cells.
    dtype : dtype

    Returns
    -------
    padded array or None
        None where there is no Neumann cell.
    """
    xp = namespace(kind)
    missing = coarse == NEUMANN
    if not bool(missing.any() if not fine.is_2d else missing[1].any()):
        return None
    weight, everywhere = fine.zeros(xp, dtype), xp.ones(fine.padded_shape, dtype=dtype)
    prolong(fine, fine.halved, weight, (~missing).astype(dtype), everywhere, None, fine.box_array(xp))()
    weights = (kind == FLUID) / xp.where(weight > 0, weight, 1)
    return weights.astype(dtype)
