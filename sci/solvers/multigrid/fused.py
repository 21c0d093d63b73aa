"""Both stages of a V-cycle around a coarse correction, each in one pass through memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, is_device_array
from sci.backend.lines import aligned_zeros
from sci.kernels import Kernel, bind, get_kernel, use_compiled
from sci.solvers.multigrid.level import SPLIT, Level, half_length
from sci.solvers.multigrid.smoothers import given_offdiag

__all__ = ["FusedStages", "in_one_pass"]

Stage: TypeAlias = Callable[[], object]
_SOURCE = "grid/multigrid_stages.cu"
CELLS, PLANES, LEAST_ROWS = 8192, 6, 64
"""Cells of a plane of a tile whose rings of so many planes stay in the second cache; and its rows at least."""


def _kernel(name: str, level: Level) -> Kernel:
    return get_kernel(_SOURCE, name, level.dtype, level.d.dtype, level.offdiag is not None)


def in_one_pass(level: Level) -> bool:
    """Return True if each stage is one pass: on a host, on one process, without periodic axes.

    On a device a sweep is cut into blocks; at a halo it waits for its neighbors.
    """
    if level.grid.halo is not None or any(level.layout.periodic) or is_device_array(level.d):
        return False
    return all(use_compiled(_kernel(name, level), level.d) for name in ("descend", "ascend"))


def tile_rows(level: Level) -> int:
    """Return the rows of a tile, an even number that depends on the shape alone."""
    n0, n1, n2 = level.layout.lengths
    rows = max(LEAST_ROWS, CELLS * PLANES // (min(n0, PLANES) * n2))
    tiles = -(-n1 // rows)
    return -(-n1 // (2 * tiles)) * 2


class FusedStages:
    """Both stages of a level, which go through tiles of rows; results are the same on any number of threads.

    Parameters
    ----------
    level, below : Level
        This one and the next.
    u, f : padded array
        Result and right-hand side.
    below_f, correction : padded coarse array
        Right-hand side and result of the next level.
    count : int
        Half-sweeps of each stage, an even number.
    factor : float
        Of the restriction, the transpose of the interpolation.

    Attributes
    ----------
    descend : callable
        Runs the half-sweeps from u = 0, red first, and restricts the residual to `below_f`. It keeps red cells of u.
    ascend : callable
        Adds the interpolated correction and runs the half-sweeps, black first, into u.
    kept : (n0, n1, half) array
        u between the two in red cells, those with i + j + k even, row by row.
    """

    def __init__(
        self,
        level: Level,
        below: Level,
        u: Array,
        f: Array,
        below_f: Array,
        correction: Array,
        count: int,
        factor: float,
    ) -> None:
        (n0, n1, n2), rows = level.layout.lengths, tile_rows(level)
        half, blocks = half_length(n2), -(-n1 // rows)
        self.kept = aligned_zeros((n0, n1, half), level.dtype)
        links = 0 if level.offdiag is None else 3
        planes = (1 + links) * min(count + 2, n0) + 2 * min(count + 1, n0)
        numbers = planes * (rows + 2 * count + 2) * (2 * half + SPLIT) + 4 * (half + 2 * SPLIT) + (3 * rows + 2) * half
        room = aligned_zeros((blocks, numbers), level.dtype)
        self.products = np.zeros((blocks, 2))
        weights = u if level.weights is None else level.weights
        given: tuple[Any, ...] = (f, level.split_inverse, given_offdiag(level.offdiag, u), weights, self.kept, room)
        lengths = (level.whole, *level.layout.padded_shape[1:], *below.layout.padded_shape[1:], numbers, rows, count)
        flags = (int(level.weights is not None), int(level.layout.is_2d))
        self.descend = bind(_kernel("descend", level), blocks, *given, below.d, below_f, *lengths, factor, *flags)
        self.ascend = bind(_kernel("ascend", level), blocks, u, *given, correction, self.products, *lengths, *flags)
        self.nbytes = int(self.kept.nbytes + room.nbytes)

    @property
    def product(self) -> float:
        """f'u after `ascend`."""
        return float(self.products[:, 0].sum())

    @property
    def energy(self) -> float:
        """u'A u after `ascend`."""
        return float(self.products[:, 1].sum())
