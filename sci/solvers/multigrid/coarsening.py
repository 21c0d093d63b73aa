"""Coarse Poisson operators: discretized again on pairs of cells, or averaged from the links of the fine grid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.solvers.multigrid.transfer import prolong
from sci.solvers.poisson.grid import Layout

__all__ = [
    "Coefficients",
    "average",
    "body_factor",
    "coarse_fraction",
    "coarse_kind",
    "interpolation_shares",
    "padded_kind",
    "rediscretize",
    "wall_factors",
    "wall_ratio",
]

DIRICHLET, NEUMANN, FLUID = 0, 1, 2
Fill: TypeAlias = Callable[[Array], Array]
WallKinds: TypeAlias = tuple[tuple[int, int], ...]
"""Kind of the cells beyond the low and the high wall of each of three axes."""


@dataclass(frozen=True)
class Coefficients:
    """One level's equation d u - sum of link x neighbor = f.

    Parameters
    ----------
    layout : Layout
    kind : padded int8 array
        0 for a Dirichlet cell, 1 for a Neumann one, 2 for an unknown; the layers around the grid hold the walls.
    d : padded array
    links : (3, *padded) array or None
        None if all links between unknowns are 1.
    dirichlet : padded array or None
        The part of d that belongs to Dirichlet faces; None if each counts 1.
    """

    layout: Layout
    kind: Array
    d: Array
    links: Array | None
    dirichlet: Array | None


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
    """Return how much heavier Dirichlet faces weigh at a coarse level than at the one before it."""
    return (1 + 2.0 ** (1 - level)) / (1 + 2.0**-level)


def _children(fine: Layout, coarse: Layout, array: Array, low: int | None = None) -> list[Array]:
    """Return the cells of a padded fine array by their place in a coarse cell; only the first ones along axis `low`."""
    places = [(1,) if axis == low or (fine.flat and axis == 0) else (1, 2) for axis in range(3)]
    steps = [1 if fine.flat and axis == 0 else 2 for axis in range(3)]
    return [
        array[tuple(slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(place, steps, coarse.lengths))]
        for place in itertools.product(*places)
    ]


def padded_kind(
    layout: Layout, kind: Array, walls: WallKinds, fill: Fill, part: tuple[Sequence[int], Sequence[int]] | None = None
) -> Array:
    """Return the kinds of the cells (*lengths) with the walls around them; `fill` adds periodic sides and ranks.

    Where two walls meet, a Dirichlet one wins.

    Parameters
    ----------
    layout : Layout
    kind : (*lengths) int8 array
    walls : WallKinds
    fill : callable
    part : (start, lengths), optional
        First cell of this box in the whole grid, and the lengths of that; cells of the box beyond them are walls.
    """
    xp = namespace(kind)
    start, lengths = part or ((0, 0, 0), layout.lengths)
    result = xp.full(layout.padded_shape, FLUID, dtype=np.int8)
    own = tuple(slice(0, max(0, min(n, m - a))) for n, m, a in zip(layout.lengths, lengths, start))
    for axis, (low, high) in enumerate(walls):
        before: list[slice] = [slice(None)] * 3
        after = list(before)
        before[axis] = slice(0, max(0, 1 - start[axis]))
        after[axis] = slice(max(0, lengths[axis] - start[axis]) + 1, None)
        for key, wall in ((tuple(before), low), (tuple(after), high)):
            result[key] = xp.minimum(result[key], np.int8(wall))
    result[tuple(slice(1, s.stop + 1) for s in own)] = kind.reshape(layout.lengths)[own]
    return fill(result)


def coarse_kind(
    fine: Layout,
    kind: Array,
    walls: WallKinds,
    least: float,
    fill: Fill,
    part: tuple[Sequence[int], Sequence[int]] | None = None,
    fraction: Array | None = None,
) -> Array:
    """Return the kinds of the coarse cells: unknowns where at least the part `least` of their cells is.

    Of the cells of the finest grid, where `fraction` says how many of them are (`coarse_fraction`); otherwise of those
    of the grid before.
    """
    xp, coarse = namespace(kind), fine.halved
    cells = _children(fine, coarse, kind)
    fluid, closed = xp.zeros(coarse.lengths, dtype=np.int8), xp.zeros(coarse.lengths, dtype=np.int8)
    for cell in cells:
        fluid += cell == FLUID
        closed += cell == NEUMANN
    solid = 2 * closed > len(cells) - fluid
    unknown = fluid >= least * len(cells) if fraction is None else fraction[coarse.box_key] >= least
    merged = xp.where(unknown, FLUID, solid).astype(np.int8)
    return padded_kind(coarse, merged, walls, fill, part)


def coarse_fraction(fine: Layout, fraction: Array) -> Array:
    """Return which part of the cells of the finest grid in each coarse cell are unknowns; both arrays padded."""
    cells = _children(fine, fine.halved, fraction)
    result = fine.halved.zeros(namespace(fraction), np.float32)
    result[fine.halved.box_key] = sum(cells) / np.float32(len(cells))
    return result


def _beyond(layout: Layout, padded: Array, axis: int, side: int) -> Array:
    key = [slice(1, n + 1) for n in layout.lengths]
    key[axis] = slice(1 + side, layout.lengths[axis] + 1 + side)
    return padded[tuple(key)]


def rediscretize(
    layout: Layout, kind: Array, factors: Sequence[tuple[float, float]], body: float, dtype: Any
) -> Coefficients:
    """Return the operator with unit links between unknowns, and Dirichlet faces of the weights given.

    Parameters
    ----------
    layout : Layout
    kind : padded int8 array
    factors : (low, high) of each of three axes
        Weights of the faces on Dirichlet walls.
    body : float
        Weight of the faces on Dirichlet bodies.
    dtype : dtype
        Of the diagonal.
    """
    xp = namespace(kind)
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
    return Coefficients(layout, kind, d, None, None)


def average(fine: Coefficients, kind: Array, ratio: float, dtype: Any, fill: Fill) -> Coefficients:
    """Return the operator whose links are the means of the fine links through the same face.

    The Dirichlet part of a coarse cell is the sum of those of its cells, spread over the cells of a face, times
    `ratio`: the zero comes nearer, in cells, from level to level.

    Parameters
    ----------
    fine : Coefficients
        In the unit of this level: the next level's unit is four times smaller.
    kind : padded int8 array
        The coarse kinds.
    ratio : float
    dtype : dtype
    fill : callable
        Fills the layers around the coarse grid from other ranks or periodic sides.
    """
    xp, old, new = namespace(kind), fine.layout, fine.layout.halved
    inner = new.box_key
    links = xp.zeros((3, *new.padded_shape), dtype=dtype)
    axes = (1, 2) if old.flat else (0, 1, 2)
    per_face = 2 ** (len(axes) - 1)
    around = xp.zeros(new.lengths, dtype=dtype)
    for axis in axes:
        links[axis][inner] = _total(_children(old, new, _links_along(fine, axis), axis)) / per_face
        links[axis] = fill(links[axis])
        around += _beyond(new, links[axis], axis, 0) + _beyond(new, links[axis], axis, 1)
    dirichlet, d = new.zeros(xp, dtype), new.zeros(xp, dtype)
    dirichlet[inner] = _total(_children(old, new, _dirichlet_part(fine))) * (ratio / per_face)
    d[inner] = around + dirichlet[inner]
    return Coefficients(new, kind, d, links, dirichlet)


def _total(parts: list[Array]) -> Array:
    result = parts[0].astype(np.int8) if parts[0].dtype == bool else parts[0].copy()
    for part in parts[1:]:
        result += part
    return result


def _links_along(level: Coefficients, axis: int) -> Array:
    """Return the links of each cell to the one before it along an axis, padded."""
    if level.links is not None:
        return level.links[axis]
    fluid = level.kind == FLUID
    key, back = [slice(None)] * 3, [slice(None)] * 3
    key[axis], back[axis] = slice(1, None), slice(None, -1)
    fluid[tuple(key)] &= level.kind[tuple(back)] == FLUID
    return fluid


def _dirichlet_part(level: Coefficients) -> Array:
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


def interpolation_shares(fine: Layout, kind: Array, coarse: Array, dtype: Any) -> Array | None:
    """Return what the interpolation to each unknown is multiplied by where a Neumann wall or body cuts it off.

    The interpolation reads zeros in cells that are no unknowns. That is right where the solution vanishes there; where
    nothing flows, the weights of the other cells are raised to sum to one, so that constants stay constant.

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
    if not bool(missing.any() if not fine.flat else missing[1].any()):
        return None
    weight, everywhere = fine.zeros(xp, dtype), xp.ones(fine.padded_shape, dtype=dtype)
    prolong(fine, fine.halved, weight, (~missing).astype(dtype), everywhere, None, fine.box_array(xp))()
    share = (kind == FLUID) / xp.where(weight > 0, weight, 1)
    return share.astype(dtype)
