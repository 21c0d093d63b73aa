"""One level of the learned V-cycle: its operator, and the numbers that its network gave each cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.grid import Box, Layout, rows_per_block

__all__ = ["Level"]


@dataclass(frozen=True, eq=False)
class Level:
    """The equation d u - sum of link x neighbor = f on one level, in a unit that keeps its entries near one.

    Parameters
    ----------
    grid : Grid
    d : padded array
        Diagonal, int8 without offdiag.
    offdiag : (3, *padded) array or None
        Weight of the face between a cell and the one before it along each axis; None if all of them between unknowns
        are 1.
    jacobi : padded uint16 array
        Modulated inverse of the diagonal: the upper half of a float32.
    transfer : padded int8 array
        Code of the transfer weight of each cell in interpolation and restriction.
    damping : tuple of float
        Of each Jacobi step before the coarse correction, in order; of even length.
    interpolation : (3, 4) array
        Weights along each axis of the four coarse cells that a pair of cells reads.
    strides : (3,) array
        2 along an axis that the next level coarsens, 1 along others.
    correction_scale : float
        Factor of the restricted residual.
    """

    grid: Grid
    d: Array
    offdiag: Array | None
    jacobi: Array
    transfer: Array
    damping: tuple[float, ...]
    interpolation: Array
    strides: Array
    correction_scale: float

    @property
    def layout(self) -> Layout:
        """Layout of the arrays."""
        return self.grid.layout

    @property
    def variable(self) -> bool:
        """Whether the level has offdiag."""
        return self.offdiag is not None

    @cached_property
    def given_offdiag(self) -> Array:
        """The off-diagonal entries as kernels take them: of one entry each where there are none."""
        return namespace(self.d).zeros((3, 1, 1, 1), np.float32) if self.offdiag is None else self.offdiag

    @cached_property
    def whole(self) -> Array:
        """The box of all cells, for kernels."""
        return self.layout.box_array(namespace(self.d))

    def ends(self, box: Box | None = None) -> tuple[int, tuple[Any, ...]]:
        """Return the number of blocks, and the kernel arguments that follow the arrays, for all cells or one box."""
        chunk, blocks = rows_per_block(box or self.layout.whole(), self.d)
        where = self.whole if box is None else self.layout.box_array(namespace(self.d), box)
        return blocks, (where, *self.layout.padded_shape[1:], chunk)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return int(sum(a.nbytes for a in (self.d, self.given_offdiag, self.jacobi, self.transfer)))

    def zeros(self) -> Array:
        """Return a padded float32 array of zeros."""
        return self.layout.zeros(namespace(self.d), np.float32)
