"""The vector space of padded arrays: products with the operator, dot products over the ranks, the null space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.backend import Array
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.components import Components
from sci.solvers.poisson.grid import Box, Layout
from sci.solvers.poisson.stencil import Stencil

__all__ = ["VectorSpace"]


@dataclass(frozen=True, eq=False)
class VectorSpace:
    """Padded arrays of one operator, and what iterative methods compute with them.

    Parameters
    ----------
    grid : Grid
    stencil : Stencil
    mask : (*grid) bool array
        Unknowns of this rank.
    size : int
        Unknowns of all ranks.
    unit : float
        Size of the entries of the operator.
    components : Components, optional
        Closed components of the fluid, whose constants span the null space.

    Notes
    -----
    Methods without "local" in their name are collective.
    """

    grid: Grid
    stencil: Stencil
    mask: Array
    size: int
    unit: float = 1.0
    components: Components | None = None

    @property
    def layout(self) -> Layout:
        """Layout of the vectors."""
        return self.stencil.layout

    @property
    def singular(self) -> bool:
        """Whether the operator has a null space."""
        return self.components is not None

    def local_quadratic_form(self, u: Array) -> float:
        """Bring the halo of u up to date and return this rank's part of u'A u."""
        parts: list[float] = []

        def over(box: Box | None) -> object:
            return lambda: parts.append(self.stencil.quadratic_form(u, box))

        self.grid.overlapped(u, over)()  # type: ignore[arg-type]
        return sum(parts)

    def apply(self, u: Array, out: Array) -> None:
        """Bring the halo of u up to date and write A u into `out`."""
        self.grid.overlapped(u, lambda box: lambda: self.stencil.apply(u, out, box))()

    def project(self, padded: Array) -> None:
        """Remove the null space from a padded array, in place."""
        if self.components is None:
            return
        cells = self.layout.cells(padded)
        if self.components.count == 1 and float(self.components.sizes[0]) == self.size:
            cells -= self.grid.total(float(cells.sum(dtype=np.float64))) / self.size
            cells *= self.mask
        else:
            labels = self.components.labels[tuple(slice(0, n) for n in cells.shape)]
            cells[...] = cells - self.components.shift(cells, labels)
