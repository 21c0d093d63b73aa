"""Gradients in the corners of cells, and the transpose that turns fluxes there into values of the cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array
from sci.solvers.poisson.faces import DIRICHLET, FLUID, NEUMANN
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Corner", "Corners", "view_around"]

Corner: TypeAlias = tuple[int, ...]
"""The side, -1 or 1, of the corner of a cell along each axis."""


def view_around(A: PoissonOperator) -> tuple[Any, ...]:
    """Return the index of this rank's block with one layer around it in a padded array."""
    own = tuple(slice(0, n + 2) for n in A.local_shape)
    return (1, *own) if A.layout.is_2d else own


Collected: TypeAlias = tuple[Array, dict[tuple[int, int], Array]]


class Corners:
    """The corners of the cells of a grid, each with a gradient of one-sided differences.

    In the corner s = (+-1, ...) of cell i the gradient is p_a = s_a (u(i + s_a e_a) - u(i)) / h_a, zero through a face
    on a Neumann wall or body. A density is averaged over the 2^ndim corners of a cell. Half of each Dirichlet cell
    beyond a face belongs to the domain, because its value holds at its center: its corners towards the fluid count as
    well. For the density |p|^2 / 2 this is the operator -laplace of the library, face by face.

    Parameters
    ----------
    A : PoissonOperator
        Of the cells and the walls; its coefficient is not read.

    Notes
    -----
    Arrays are those of this rank's block with one layer around it.
    """

    def __init__(self, A: PoissonOperator) -> None:
        layout = A.layout
        self.grid, self.layout, self.spacing, self.xp = A.grid, layout, A.spacing, A.xp
        self.ndim, self.shape, self.inner = A.ndim, tuple(n + 2 for n in A.local_shape), A.interior
        self._view = view_around(A)
        self.kind: Array = A.kind[self._view]
        self.fluid = self.kind == FLUID
        self._fixed = self.kind == DIRICHLET
        self._scratch = layout.zeros(self.xp, np.float64)
        self._owned = self._own_cells(A)
        self.corners: list[Corner] = list(itertools.product((-1, 1), repeat=self.ndim))
        self.counted = {corner: self._counted(corner) for corner in self.corners}
        """The cells of which each corner counts."""

    def _own_cells(self, A: PoissonOperator) -> Array:
        """Return the cells that no other rank counts: the block, and the layer beyond walls of the whole grid."""
        owned = self.xp.zeros(self.shape, dtype=bool)
        owned[self.inner] = True
        for axis, (n, m, cells) in enumerate(zip(A.local_shape, A.grid_shape, A.slices)):
            for place, beyond in ((0, cells.start == 0), (n + 1, cells.stop == m)):
                key = list(self.inner)
                key[axis] = slice(place, place + 1)
                owned[tuple(key)] = beyond and not A.periodic[axis]
        return owned

    def _pair(self, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the indices of the cells before and after each face across an axis."""
        before, after = [slice(None)] * self.ndim, [slice(None)] * self.ndim
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        return tuple(before), tuple(after)

    def _active(self, axis: int) -> Array:
        """Return the faces across an axis whose difference depends on an unknown."""
        before, after = self._pair(axis)
        open_faces = (self.kind[before] != NEUMANN) & (self.kind[after] != NEUMANN)
        return open_faces & (self.fluid[before] | self.fluid[after])

    def _counted(self, corner: Corner) -> Array:
        towards = self.xp.zeros(self.shape, dtype=bool)
        for axis, side in enumerate(corner):
            before, after = self._pair(axis)
            own, other = (before, after) if side > 0 else (after, before)
            towards[own] |= self.fluid[other]
        return self._owned & (self.fluid | (self._fixed & towards))

    def padded(self, u: Array, values: Array | None) -> Array:
        """Return u with the layer around it and `values` (zero if None) in the Dirichlet cells; collective."""
        scratch = self._scratch
        scratch[...] = 0
        scratch[self._view][self.inner] = u
        here = self.xp.where(self.fluid, self.grid.fill(scratch)[self._view], 0.0)
        return here if values is None else self.xp.where(self._fixed, values, here)

    def faces(self, padded: Array, *, data: bool) -> list[Array]:
        """Return the differences across the faces between a cell and the next one along each axis.

        With `data` those between two Dirichlet cells count as well: the slope of given values along a wall.
        """
        result = []
        for axis, h in enumerate(self.spacing):
            before, after = self._pair(axis)
            keep = self._active(axis)
            if data:
                keep |= self._fixed[before] & self._fixed[after]
            result.append(self.xp.where(keep, (padded[after] - padded[before]) / h, 0.0))
        return result

    def gradient(self, faces: list[Array], corner: Corner) -> Array:
        """Return the gradients (ndim, *shape) in one corner of all cells."""
        p = self.xp.zeros((self.ndim, *self.shape))
        for axis, side in enumerate(corner):
            p[axis][self._pair(axis)[side < 0]] = faces[axis]
        return p

    def collect(self, parts: Iterator[tuple[Corner, Array, Array]]) -> Collected:
        """Return the sums of dL/du over all corners of each cell, and of dL/dp on both sides of it along each axis."""
        xp, share = self.xp, 0.5**self.ndim
        total = xp.zeros(self.shape)
        sides = {(axis, side): xp.zeros(self.shape) for axis in range(self.ndim) for side in (-1, 1)}
        for corner, by_u, by_p in parts:
            total += self.only(corner, by_u) * share
            for axis, side in enumerate(corner):
                sides[axis, side] += self.only(corner, by_p[axis]) * share
        return total, sides

    def assemble(self, collected: Collected) -> Array:
        """Return sum of dL/du + dL/dp . d(p)/du in the cells of this rank; collective."""
        xp, (total, sides) = self.xp, collected
        for axis, h in enumerate(self.spacing):
            before, after = self._pair(axis)
            flux = self._filled(sides[axis, 1])[before]
            flux = xp.where(self._active(axis), (flux + self._filled(sides[axis, -1])[after]) / h, 0.0)
            total[before] -= flux
            total[after] += flux
        return xp.where(self.fluid, total, 0.0)[self.inner]

    def only(self, corner: Corner, values: Array) -> Array:
        """Return values in the cells of which a corner counts, zero elsewhere."""
        return self.xp.where(self.counted[corner], values, 0.0)

    def _filled(self, values: Array) -> Array:
        """Return values with those of the neighboring ranks in the layer around; collective."""
        self._scratch[self._view] = values
        return self.grid.fill(self._scratch)[self._view].copy()

    def mean(self, corners: Iterator[tuple[Corner, Array]]) -> Array:
        """Return the mean over the corners of each fluid cell, on this rank's grid."""
        total = sum(0.5**self.ndim * self.only(corner, values) for corner, values in corners)
        return self.xp.where(self.fluid, total, 0.0)[self.inner]
