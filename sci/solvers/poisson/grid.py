"""Where the cells of a grid lie in the padded arrays that the kernels work on."""

from __future__ import annotations

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
    """A grid of two or three axes in a C-ordered array of three, with a layer of cells around it.

    A grid of two axes is one layer thick. An axis of odd length has one more layer at its end, so that it can be
    halved.

    Parameters
    ----------
    grid_shape : tuple of int
        Two or three lengths.
    periodic : tuple of bool
        Whether each axis wraps round.
    """

    grid_shape: tuple[int, ...]
    periodic: tuple[bool, ...]

    @cached_property
    def lengths(self) -> tuple[int, int, int]:
        """Lengths of three axes, the first one 1 for a grid of two."""
        n0, n1, n2 = (1,) * (3 - len(self.grid_shape)) + self.grid_shape
        return n0, n1, n2

    @cached_property
    def flat(self) -> bool:
        """Whether the grid has two axes."""
        return len(self.grid_shape) == 2

    @cached_property
    def padded_shape(self) -> tuple[int, int, int]:
        """Shape of the padded arrays."""
        p0, p1, p2 = (n + n % 2 + 2 for n in self.lengths)
        return (3 if self.flat else p0), p1, p2

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Index that gives the grid's view of a padded array."""
        return tuple(1 if self.flat and axis == 0 else slice(1, n + 1) for axis, n in enumerate(self.lengths))

    @cached_property
    def box_key(self) -> tuple[slice, ...]:
        """Index that gives the cells of a padded array along three axes."""
        return tuple(slice(1, n + 1) for n in self.lengths)

    @cached_property
    def halved(self) -> Layout:
        """The layout of the next coarser grid."""
        return Layout(tuple((n + 1) // 2 for n in self.grid_shape), self.periodic)

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
        """Return the grid in a padded array as an array without gaps, on a host in the memory of `padded`, now lost.

        A plane goes to where planes before it were; memory that is new to the process would cost more than the copy.
        """
        if is_device_array(padded):
            return self.cells(padded).copy()
        n0, n1, n2 = self.lengths
        grid = padded.reshape(-1)[: n0 * n1 * n2].reshape(self.lengths)
        for i in range(n0):
            grid[i] = padded[i + 1, 1 : n1 + 1, 1 : n2 + 1]
        return grid.reshape(self.grid_shape)

    def wrap(self, padded: Array) -> Array:
        """Fill, in place, the layers around the grid on periodic axes from the other side."""
        for axis, wraps in zip(range(3 - len(self.periodic), 3), self.periodic):
            if wraps:
                n = self.lengths[axis]
                for target, source in ((0, n), (n + 1, 1)):
                    to: list[Any] = [slice(None)] * 3
                    come: list[Any] = [slice(None)] * 3
                    to[axis], come[axis] = target, source
                    padded[tuple(to)] = padded[tuple(come)]
        return padded

    def whole(self) -> Box:
        """Return the box of all cells: first cell and lengths."""
        return (0, 0, 0), self.lengths

    def box_array(self, xp: ModuleType, box: Box | None = None) -> Array:
        """Return what kernels take for a box: first cell, lengths, and the length of the first padded axis less 2."""
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
