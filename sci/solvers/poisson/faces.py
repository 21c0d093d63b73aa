"""Kinds of cells and the weights of their faces, from which the stencil of the Poisson operator is assembled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.boundary import Boundary, beyond_face
from sci.solvers.poisson.grid import Layout

__all__ = [
    "DIRICHLET",
    "FLUID",
    "NEUMANN",
    "Face",
    "WallKinds",
    "assemble",
    "count_faces",
    "dirichlet_sum",
    "face_weights",
    "padded_kind",
    "wall_kinds",
]

DIRICHLET, NEUMANN, FLUID = 0, 1, 2
KINDS = {"dirichlet": DIRICHLET, "neumann": NEUMANN, "periodic": NEUMANN}
WallKinds: TypeAlias = tuple[tuple[int, int], ...]
"""Kind of the cells beyond the low and the high wall of each of three axes."""
Face: TypeAlias = tuple[int, int, Array, Array]
"""Axis, side (-1 or 1), and weights of that face of each cell: as a link to a fluid cell, and as a Dirichlet face."""


def wall_kinds(boundary: Boundary) -> WallKinds:
    """Return the kinds of the cells beyond the walls of three axes; a plane is closed along the first."""
    plane = ((NEUMANN, NEUMANN),) * (3 - len(boundary))
    return plane + tuple((KINDS[low], KINDS[high]) for low, high in boundary)


def padded_kind(grid: Grid, kind: Array, walls: WallKinds) -> Array:
    """Return the kinds of the cells of a box with those around it; collective.

    Parameters
    ----------
    grid : Grid
        Cells of the box beyond the whole grid are walls. Where two walls meet, a Dirichlet one wins.
    kind : (*lengths) int8 array
        Of the box: DIRICHLET, NEUMANN or FLUID.
    walls : WallKinds
    """
    layout, xp = grid.layout, namespace(kind)
    result = xp.full(layout.padded_shape, FLUID, dtype=np.int8)
    own = tuple(slice(0, max(0, min(n, m - a))) for n, m, a in zip(layout.lengths, grid.lengths, grid.start))
    for axis, (low, high) in enumerate(walls):
        before: list[slice] = [slice(None)] * 3
        after = list(before)
        before[axis] = slice(0, max(0, 1 - grid.start[axis]))
        after[axis] = slice(max(0, grid.lengths[axis] - grid.start[axis]) + 1, None)
        for key, wall in ((tuple(before), low), (tuple(after), high)):
            result[key] = xp.minimum(result[key], np.int8(wall))
    result[tuple(slice(1, s.stop + 1) for s in own)] = kind.reshape(layout.lengths)[own]
    return grid.fill(result)


def count_faces(layout: Layout, kind: Array) -> Array:
    """Return the number of faces of each fluid cell that count, padded int8; those on Neumann cells do not."""
    around = kind[layout.halo_view]
    fluid = kind[layout.box_view] == FLUID
    ndim = fluid.ndim
    counts = 2 * ndim * fluid.astype(np.int8)
    if bool((around == NEUMANN).any()):
        for axis in range(ndim):
            for side in (-1, 1):
                counts -= fluid & (beyond_face(around, axis, side) == NEUMANN)
    result = layout.zeros(namespace(kind), np.int8)
    result[layout.box_view] = counts
    return result


def face_weights(
    layout: Layout,
    kind: Array,
    coefficient: Array | None,
    spacing: Sequence[float],
    mean: str,
    factors: Array | None = None,
) -> Iterator[Face]:
    """Yield the faces of the cells of a box, axis by axis and side by side.

    Parameters
    ----------
    layout : Layout
    kind : padded int8 array
    coefficient : padded array or None
        1 where None.
    spacing : sequence of float
    mean : "harmonic" or "arithmetic"
    factors : (ndim, *padded) array, optional
        Factor of the weight of the face before each cell; 1 where None.
    """
    xp, around = namespace(kind), kind[layout.halo_view]
    fluid = kind[layout.box_view] == FLUID
    for axis, h in enumerate(spacing):
        for side in (-1, 1):
            beyond = beyond_face(around, axis, side)
            link = (fluid & (beyond == FLUID)).astype(np.float64) / h**2
            wall = (fluid & (beyond == DIRICHLET)).astype(np.float64) / h**2
            if coefficient is not None:
                values = coefficient[layout.halo_view]
                there = xp.where(beyond == FLUID, beyond_face(values, axis, side), 1.0)
                here = xp.where(fluid, coefficient[layout.box_view], 1.0)
                weight = here / 2 + there / 2
                if mean == "harmonic":
                    low, high = xp.minimum(here, there), xp.maximum(here, there)
                    weight = 2 * low / (1 + low / high)  # a product of both might overflow
                link, wall = link * weight, wall * here
            if factors is not None:
                factor = _of_face(layout, factors, axis, side)
                link, wall = link * factor, wall * factor
            yield axis, side, link, wall


def _of_face(layout: Layout, factors: Array, axis: int, side: int) -> Array:
    """Return the factor of the face on one side of each cell of a box."""
    key = list(layout.box_view)
    k = axis + len(key) - len(factors)
    key[k] = slice(key[k].start + (side > 0), key[k].stop + (side > 0))
    result: Array = factors[axis][tuple(key)]
    return result


def dirichlet_sum(
    layout: Layout, kind: Array, coefficient: Array | None, spacing: Sequence[float], factors: Array | None = None
) -> Array:
    """Return the sum of the weights of the Dirichlet faces of each cell of a box; arguments as for `face_weights`."""
    around, xp = kind[layout.halo_view], namespace(kind)
    fluid = kind[layout.box_view] == FLUID
    total = xp.zeros(fluid.shape)
    for axis, h in enumerate(spacing):
        for side in (-1, 1):
            wall = fluid & (beyond_face(around, axis, side) == DIRICHLET)
            weight = 1 / h**2 if coefficient is None else coefficient[layout.box_view][wall] / h**2
            total[wall] += weight if factors is None else weight * _of_face(layout, factors, axis, side)[wall]
    return total


def assemble(layout: Layout, faces: Iterator[Face]) -> tuple[Array, Array]:
    """Return the padded off-diagonal (3, *padded) and diagonal of a stencil."""
    offdiag: Array = None
    diagonal: Array = None
    while True:
        with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses an Inf
            face = next(faces, None)
        if face is None:
            return offdiag, diagonal
        axis, side, link, wall = face
        if offdiag is None:
            offdiag = namespace(link).zeros((3, *layout.padded_shape))
            diagonal = layout.zeros(namespace(link), np.float64)
        diagonal[layout.box_view] += link + wall
        k = axis + 3 - link.ndim
        place = list(layout.box_view)
        if side > 0:
            place[k] = slice(2, layout.lengths[k] + 2)
        offdiag[k][tuple(place)] = link
