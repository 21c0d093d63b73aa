"""One level of a multigrid hierarchy: the operator, and what interpolates to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.backend.lines import aligned_zeros
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.grid import Layout

__all__ = ["SPLIT", "Level", "half_length", "inverse_diagonal"]

SPLIT = 16
"""What halves of rows are rounded up to, and the gap between them, as in `grid/split.h`."""


@dataclass(frozen=True, eq=False)
class Level:
    """The equation d u - sum of link x neighbor = f on one level, in a unit that keeps its entries near one.

    Parameters
    ----------
    grid : Grid
    d : padded array
        int8 where it counts faces of weight 1.
    offdiag : (3, *padded) array or None
        Weight of the face between a cell and the one before it along each axis; None if all of them between unknowns
        are 1.
    dtype : dtype
        Of the cycle.
    weights : padded array, optional
        Factor of the interpolation from the next level; 1 if None.
    kind : padded int8 array, optional
        Kinds of the cells (`sci.solvers.poisson.faces`); the setup of the next level reads them.
    dirichlet : padded array, optional
        Part of d that belongs to Dirichlet faces; None if each counts 1. Read by the setup of the next level.
    unreacted : padded array, optional
        d without the reaction; None for an operator without one.
    """

    grid: Grid
    d: Array
    offdiag: Array | None
    dtype: Any
    weights: Array | None = None
    kind: Array = None
    dirichlet: Array = None
    unreacted: Array | None = None

    @property
    def layout(self) -> Layout:
        """Layout of the arrays."""
        return self.grid.layout

    @cached_property
    def whole(self) -> Array:
        """The box of all cells, for kernels."""
        return self.layout.box_array(namespace(self.d))

    @cached_property
    def split_inverse(self) -> Array:
        """1/d, or d where it is a count, with the even and the odd cells of a row after each other; 0 where d = 0."""
        source = self.d if self.d.dtype == np.int8 else inverse_diagonal(self.d, self.dtype)
        cells = source[self.layout.box_key]
        n0, n1, n2 = cells.shape
        split = aligned_zeros((n0, n1, 2, half_length(n2)), source.dtype)
        for parity in (0, 1):
            part = cells[..., parity::2]
            split[:, :, parity, : part.shape[2]] = part
        return split.reshape(n0, n1, -1)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that a cycle reads."""
        arrays = [self.d, self.offdiag, self.weights, self.unreacted, vars(self).get("split_inverse")]
        return int(sum(a.nbytes for a in arrays if a is not None))


def half_length(n: int) -> int:
    """Return the entries of half a row of n cells, rounded up."""
    return -(-n // (2 * SPLIT)) * SPLIT


def inverse_diagonal(d: Array, dtype: Any) -> Array:
    """Return 1/d, and 0 where d = 0."""
    unknown = d > 0
    result = (d + ~unknown).astype(dtype)
    namespace(d).divide(unknown, result, out=result)
    return result
