"""Padded arrays, which the kernels work on, and the places of a grid's cells in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace

__all__ = ["Layout", "rows_per_block"]

Box = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Layout:
    """A grid of two or three axes in a C-ordered array of three axes, with a halo of one cell.

    A grid of two axes is one cell thick along the first axis of the array. An axis of odd length has one more layer at
    its end, so that it can be halved.

    Parameters
    ----------
    grid_shape : tuple of int
        Two or three lengths of the arrays that a caller sees.
    periodic : tuple of bool
        Whether each axis wraps round inside of this array.
    box_shape : tuple of int, optional
        Lengths of the box that kernels work on, where it extends the grid at its high ends.
    """

    grid_shape: tuple[int, ...]
    periodic: tuple[bool, ...]
    box_shape: tuple[int, ...] | None = None

    @cached_property
    def lengths(self) -> tuple[int, int, int]:
        """Lengths of the box along three axes, the first one 1 for a grid of two."""
        shape = self.box_shape or self.grid_shape
        n0, n1, n2 = (1,) * (3 - len(shape)) + tuple(shape)
        return n0, n1, n2

    @cached_property
    def is_2d(self) -> bool:
        """Whether the grid has two axes."""
        return len(self.grid_shape) == 2

    @cached_property
    def padded_shape(self) -> tuple[int, int, int]:
        """Shape of the padded arrays."""
        p0, p1, p2 = (n + n % 2 + 2 for n in self.lengths)
        return (3 if self.is_2d else p0), p1, p2

    def _index(self, lengths: Sequence[int], halo: int = 0) -> tuple[Any, ...]:
        slices = tuple(slice(1 - halo, n + 1 + halo) for n in lengths)
        return (1, *slices) if self.is_2d else slices

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Index of the grid in a padded array."""
        return self._index(self.grid_shape)

    @cached_property
    def box_view(self) -> tuple[Any, ...]:
        """Index of the box in a padded array, with the axes of the grid."""
        return self._index(self.box_shape or self.grid_shape)

    @cached_property
    def halo_view(self) -> tuple[Any, ...]:
        """Index of the box with its halo in a padded array, with the axes of the grid."""
        return self._index(self.box_shape or self.grid_shape, 1)

    @cached_property
    def box_key(self) -> tuple[slice, ...]:
        """Index of the box in a padded array, along three axes."""
        return tuple(slice(1, n + 1) for n in self.lengths)

    @cached_property
    def halved(self) -> Layout:
        """The layout of the next coarser grid."""
        grid, box = (None if v is None else tuple((n + 1) // 2 for n in v) for v in (self.grid_shape, self.box_shape))
        assert grid is not None
        return Layout(grid, self.periodic, box)

    def zeros(self, xp: ModuleType, dtype: Any) -> Array:
        """Return a padded array of zeros."""
        return xp.zeros(self.padded_shape, dtype=dtype)

    def spread(self, grid: Array, dtype: Any = None) -> Array:
        """Return a padded array that holds `grid`, zero around it."""
        padded = self.zeros(namespace(grid), dtype or grid.dtype)
        padded[self.key] = grid
        return padded

    def cells(self, padded: Array) -> Array:
        """Return the view of the grid in a padded array."""
        return padded[self.key]

    def unpadded(self, padded: Array) -> Array:
        """Return the grid in a padded array as a contiguous array.

        On a host it uses the memory of `padded`, whose contents are lost: planes are moved to the front, which costs
        less than pages that are new to the process.
        """
        if is_device_array(padded) or self.box_shape is not None:
            return self.cells(padded).copy()
        n0, n1, n2 = self.lengths
        grid = padded.reshape(-1)[: n0 * n1 * n2].reshape(self.lengths)
        for i in range(n0):
            grid[i] = padded[i + 1, 1 : n1 + 1, 1 : n2 + 1]
        return grid.reshape(self.grid_shape)

    def wrap(self, padded: Array) -> Array:
        """Fill the halo on periodic axes from the other side, in place."""
        for axis, wraps in zip(range(3 - len(self.periodic), 3), self.periodic):
            if wraps:
                n = self.lengths[axis]
                for target, source in ((0, n), (n + 1, 1)):
                    to: list[Any] = [slice(None)] * 3
                    come: list[Any] = [slice(None)] * 3
                    to[axis], come[axis] = target, source
                    padded[tuple(to)] = padded[tuple(come)]
        return padded

    def clear_halo(self, padded: Array) -> None:
        """Set the halo to zero, in place."""
        for axis, n in enumerate(self.lengths):
            for place in (0, n + 1):
                padded[(slice(None),) * axis + (place,)] = 0

    def whole(self) -> Box:
        """Return the box of all cells: first cell and lengths."""
        return (0, 0, 0), self.lengths

    def box_array(self, xp: ModuleType, box: Box | None = None) -> Array:
        """Return a box as kernels take it: first cell, lengths, and the length of the first padded axis less 2."""
        start, lengths = box or self.whole()
        return xp.asarray([*start, *lengths, self.padded_shape[0] - 2], dtype=np.int64)


def box_key(box: Any) -> tuple[slice, ...]:
    """Return the index of the cells of a box array in padded arrays."""
    values = [int(v) for v in box]
    return tuple(slice(a + 1, a + n + 1) for a, n in zip(values[:3], values[3:6]))


def rows_per_block(box: Box, like: Array) -> tuple[int, int]:
    """Return rows of a block and number of blocks: planes on the host, a few thousand blocks on a device."""
    _, (n0, n1, _) = box
    rows = n0 * n1
    chunk = max(1, -(-rows // 4096) if is_device_array(like) else n1)
    return chunk, -(-rows // chunk)
