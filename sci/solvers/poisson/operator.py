"""The operator -div(c grad u) + r u on a box of cells with bodies inside: 7 points in space, 5 in the plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from sci.arguments import Real, collective_entry
from sci.backend import Array, as_finite, namespace
from sci.distributed import agreed, allgather_rows
from sci.distributed import size as size_of
from sci.distributed.communicators import Comm
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.solvers.poisson.blocks import Blocks, Grid
from sci.solvers.poisson.boundary import as_spacing, beyond_face, neumann_cells, parse_boundary
from sci.solvers.poisson.cells import FaceParts, both_ends, cell_values, checked_mask, joined, padded_factors
from sci.solvers.poisson.components import closed_components
from sci.solvers.poisson.faces import (
    Face,
    assemble,
    count_faces,
    dirichlet_sum,
    face_weights,
    padded_kind,
    wall_kinds,
)
from sci.solvers.poisson.matrix import to_csr
from sci.solvers.poisson.space import VectorSpace
from sci.solvers.poisson.stencil import Stencil

__all__ = ["PoissonOperator"]

CONSISTENT = 1e-8
"""A right-hand side of a singular system may sum to this, relative to the sum of its absolute values."""


@collective_entry
class PoissonOperator:
    """Symmetric finite-volume operator A u = -div(c grad u) + r u on the fluid cells of a grid.

        (A u)_i = sum over faces of i of w (u_i - u_j) + r_i u_i,    w = c / h^2,

    where j is the cell beyond the face. Beyond a Dirichlet wall, and in a Dirichlet body, u_j = 0 at the center of that
    cell; a face on a Neumann wall or body has w = 0; a periodic axis wraps round.

    Parameters
    ----------
    mask : (*grid) array_like of bool
        True in the cells that are unknowns; 2 or 3 axes of any length. NumPy or CuPy.
    spacing : float or sequence of float
        Width of a cell, for all axes or for each.
    boundary : str or sequence
        "dirichlet", "neumann" or "periodic" on the walls of the box; one for each axis, or a pair (low, high) for each
        axis, where walls differ.
    neumann_body : bool or (*grid) array_like of bool
        Whether the surface of the cells outside of the fluid is Neumann (False: Dirichlet); an array is true in the
        Neumann bodies.
    coefficient : float or (*grid) array_like, optional
        Coefficient c of each cell, zero or more; 1 by default. A cell with c = 0 conducts nothing: it is no unknown,
        and counts as a Neumann body.
    reaction : float or (*grid) array_like, optional
        Reaction r of each cell, zero or more; 0 by default. It screens: -laplace u + k^2 u has r = k^2.
    face_factors : sequence of array_like, optional
        For each axis the factors of the weights of its faces, zero or more, of the shape of the grid with one face more
        along that axis: the open part of a face that a body cuts, or 1 / theta on a Dirichlet face at theta of a cell's
        width from the center, such as a free surface. On a periodic axis the first and the last are one face.
    mean : "harmonic" or "arithmetic"
        The coefficient of a face between two fluid cells: the harmonic mean keeps the flux right where c jumps at the
        face, the arithmetic mean suits a smooth c. A Dirichlet face has the coefficient of its fluid cell.
    comm : mpi4py communicator, optional
        Spreads the grid over ranks: each keeps the block `A.slices` of the arrays, and vectors are blocks.
    grid_shape : tuple of int, optional
        With `comm`: the lengths of the whole grid, if each rank passes its block of the arrays alone, the cells
        `block_slices(grid_shape, comm, boundary=boundary)`. Without it every rank passes whole arrays.
    distributed_levels : int, optional
        Levels of multigrid that ranks keep a block of; by default those of more than 4096 cells.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DecompositionError
        On every rank.

    Notes
    -----
    A vector is a grid array, zero outside of the fluid, or the flat array of its fluid cells in C order, those of this
    rank; every method takes either form and returns the same form. With c = 1 and cubic cells the stencil is one byte
    per cell, the number of its faces that count; otherwise ndim + 1 numbers, and ndim + 2 with a reaction. The null
    space of a singular operator is spanned by the constants on the components of the fluid that touch no Dirichlet face
    and have no reaction; `project` removes them.

    On ranks the constructor and all products and sums are collective, and one thread of each rank may use the operator.
    A periodic axis has to have an even length there, for each distributed level. One process can pickle an operator.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import PoissonOperator
    >>> A = PoissonOperator(np.ones((3, 3), dtype=bool))
    >>> (A @ np.ones(9)).reshape(3, 3)
    array([[2., 1., 2.],
           [1., 0., 1.],
           [2., 1., 2.]])
    """

    def __init__(
        self,
        mask: Any,
        spacing: float | Sequence[float] = 1.0,
        boundary: Any = "dirichlet",
        *,
        neumann_body: Any = False,
        coefficient: Any = None,
        reaction: Any = None,
        face_factors: Any = None,
        mean: str = "harmonic",
        comm: Comm = None,
        grid_shape: Sequence[int] | None = None,
        distributed_levels: int | None = None,
    ) -> None:
        distributed = size_of(comm) > 1 or distributed_levels is not None
        self.comm = comm if distributed else None
        with agreed(self.comm, "PoissonOperator") as agreement:
            cells = checked_mask(mask)
            if mean not in ("harmonic", "arithmetic"):
                raise InvalidValueError(f"mean is {mean!r}; expected 'harmonic' or 'arithmetic'")
            self.ndim = cells.ndim
            self.grid_shape: tuple[int, ...] = tuple(cells.shape if grid_shape is None else grid_shape)
            self.boundary = parse_boundary(boundary, self.ndim)
            self.spacing, self.mean = as_spacing(spacing, self.ndim), mean
            varying, screened, cut = (
                "given" if given is not None else None for given in (coefficient, reaction, face_factors)
            )
            agreement.same(spacing=self.spacing, mean=mean, whole=grid_shape is None, face_factors=cut)
            if grid_shape is None:
                agreement.same(mask=cells, neumann_body=neumann_body, coefficient=coefficient, reaction=reaction)
            else:
                everywhere = "given" if hasattr(neumann_body, "shape") else neumann_body
                agreement.same(coefficient=varying, reaction=screened, neumann_body=everywhere)
        # Round an axis of one cell the cell beyond is the cell itself: nothing flows, as through a Neumann wall.
        self.periodic = tuple(low == "periodic" and n > 1 for (low, _), n in zip(self.boundary, self.grid_shape))
        self.blocks: Blocks | None = None
        self.grid = Grid.whole(self.grid_shape, self.periodic)
        self.slices = tuple(slice(0, n) for n in self.grid_shape)
        if distributed:
            self.blocks = Blocks(self.grid_shape, comm, boundary=boundary, levels=distributed_levels)
            self.grid, self.slices = self.blocks.grids[0], self.blocks.slices
        self.layout = self.grid.layout
        self.local_shape: tuple[int, ...] = self.layout.grid_shape
        with agreed(self.comm, "PoissonOperator"):
            whole = grid_shape is None
            self._set_cells(cells, self._block(neumann_body, whole), self._block(coefficient, whole), whole)
            self._padded_factors: Array | None = None
            if face_factors is not None:
                self._padded_factors = padded_factors(face_factors, self.mask, self.layout, self._parts(whole))
            self.reaction: Array | None = None
            if reaction is not None:
                self.reaction = self._checked_reaction(self._block(reaction, whole))
        self._count()
        self._assemble()

    def _block(self, value: Any, whole: bool) -> Any:
        """Return this rank's block of an array over the whole grid; other values as they are."""
        shape = getattr(value, "shape", None)
        return value[self.slices] if whole and shape is not None and tuple(shape) == self.grid_shape else value

    def _set_cells(self, mask: Array, neumann_body: Any, coefficient: Any, whole: bool) -> None:
        """Check and keep this rank's block of the arrays."""
        mask = mask[self.slices] if whole else mask
        if tuple(mask.shape) != self.local_shape:
            raise ShapeError(
                f"mask has shape {tuple(mask.shape)}; expected that of this rank's block, {self.local_shape}, or the "
                "whole grid without grid_shape"
            )
        self.mask: Array = mask.astype(bool)
        self.xp = namespace(self.mask)
        self.neumann_body: Array = neumann_cells(neumann_body, self.mask)
        self.coefficient: Array | None = None
        if coefficient is not None:
            self.coefficient = cell_values(coefficient, "coefficient", self.mask)
            if bool((self.coefficient[self.mask] < 0).any()):
                raise InvalidValueError("coefficient holds negative values in fluid cells; expected c >= 0")
            void = self.mask & (self.coefficient == 0)
            self.mask, self.neumann_body = self.mask & ~void, self.neumann_body | void

    def _parts(self, whole: bool) -> FaceParts:
        return FaceParts(self.grid_shape if whole else self.local_shape, self.slices if whole else None, self.periodic)

    def _checked_reaction(self, reaction: Any) -> Array:
        """Return the reaction of this rank's cells, zero outside of the fluid."""
        values = cell_values(reaction, "reaction", self.mask)
        if bool((values[self.mask] < 0).any()):
            raise InvalidValueError("reaction holds negative values in fluid cells; expected zero or more")
        return self.xp.where(self.mask, values, 0.0)

    def with_reaction(self, reaction: Any) -> PoissonOperator:
        """Return the operator of the same cells and coefficient with another reaction; collective.

        It shares all arrays but the diagonal, so that it costs one pass over the cells.

        Parameters
        ----------
        reaction : (*grid) array_like
            Of this rank's cells, zero or more.

        Returns
        -------
        PoissonOperator

        Raises
        ------
        ShapeError, InvalidValueError
            On every rank.
        """
        other = object.__new__(PoissonOperator)  # copy() would go through __reduce__, which assembles anew
        vars(other).update(vars(self))
        with agreed(self.comm, "PoissonOperator.with_reaction"):
            other.reaction = self._checked_reaction(reaction)
        vars(other).pop("diagonal", None)
        if self.constant or self.singular:
            other._assemble()
            return other
        other.unreacted = self.stencil.d if self.unreacted is None else self.unreacted
        diagonal = other.unreacted + self.layout.spread(other.reaction)
        other.stencil = replace(self.stencil, d=diagonal)
        other.space = replace(self.space, stencil=other.stencil)
        return other

    def _count(self) -> None:
        """Count the unknowns of this rank and of all."""
        self.size = int(self.mask.sum())
        self.shape, self.dtype = (self.size, self.size), np.dtype(np.float64)
        self.n_unknowns = int(self.grid.total(float(self.size)))
        if self.n_unknowns == 0:
            raise InvalidValueError("mask holds no fluid cell; expected at least one")

    def _assemble(self) -> None:
        """Make the stencil and find the null space."""
        layout, xp = self.layout, self.xp
        self.unreacted: Array | None = None
        """Padded diagonal without the reaction; None where nothing reacts."""
        given = (self.coefficient, self.reaction, self._padded_factors)
        self.constant = all(values is None for values in given) and len(set(self.spacing)) == 1
        """Whether all faces that count have the weight `weight`, and nothing reacts."""
        self.weight = 1.0 / self.spacing[0] ** 2
        kind = xp.zeros(layout.padded_shape, dtype=np.int8)
        kind[layout.key] = 2 * self.mask.astype(np.int8) + self.neumann_body
        self._padded_coefficient: Array | None = None
        if self.coefficient is not None:
            self._padded_coefficient = xp.ones(layout.padded_shape)
            self._padded_coefficient[layout.key] = self.coefficient
            self.grid.fill(self._padded_coefficient)
            self.coefficient = layout.cells(self._padded_coefficient)
        self.wall_kinds = wall_kinds(self.boundary)
        self.kind = padded_kind(self.grid, kind[layout.box_key], self.wall_kinds)
        """Kinds of the cells, padded."""
        if self.constant:
            self.unit = self.weight
            """Size of the entries: the weight of a face, or where weights vary the largest diagonal entry."""
            self.stencil = Stencil(layout, count_faces(layout, self.kind), None, self.weight)
        else:
            offdiag, diagonal = assemble(layout, self._box_faces())
            if self.reaction is not None:
                self.unreacted, diagonal = diagonal, diagonal + layout.spread(self.reaction)
            self.unit = self.grid.largest(float(diagonal.max()))
            if not np.isfinite(self.unit):
                raise InvalidValueError("coefficient / spacing^2 leaves the range of float64; scale it down")
            self.stencil = Stencil(layout, diagonal, offdiag, 1.0)
        components = None
        cut = self._padded_factors is not None
        open_everywhere = {name for pair in self.boundary for name in pair} == {"dirichlet"} and not cut
        if self.grid.total(float(not open_everywhere or bool(self.neumann_body.any()))):
            fluid = self.kind[layout.box_view] == 2
            touching = self._dirichlet_sum() > 0
            if self.reaction is not None:
                touching |= layout.spread(self.reaction)[layout.box_view] > 0
            components = closed_components(self.grid, fluid, touching, self.stencil.offdiag if cut else None)
        self.space = VectorSpace(self.grid, self.stencil, self.mask, self.n_unknowns, self.unit, components)
        self.singular = components is not None
        """Whether constants on some component of the fluid span a null space."""

    @property
    def component_sizes(self) -> Array:
        """Cells of each closed component of the fluid, on all ranks; empty if the operator is regular."""
        components = self.space.components
        return self.xp.zeros(0) if components is None else components.sizes

    @cached_property
    def indices(self) -> Array:
        """Place of each unknown of this rank in its flattened grid."""
        return self.xp.flatnonzero(self.mask)

    @property
    def interior(self) -> tuple[slice, ...]:
        """Index of the grid in an array with a halo of one cell."""
        return tuple(slice(1, -1) for _ in self.grid_shape)

    @cached_property
    def diagonal(self) -> Array:
        """Diagonal of the matrix, on the grid."""
        return self.stencil.weight * self.layout.cells(self.stencil.d).astype(np.float64)

    @cached_property
    def dirichlet(self) -> Array:
        """Sum of the weights of the Dirichlet faces of each cell, on the grid."""
        return self._dirichlet_sum()[tuple(slice(0, n) for n in self.local_shape)]

    def _dirichlet_sum(self) -> Array:
        """Return the sum of the weights of the Dirichlet faces of each cell of the box."""
        coefficient, factors = self._padded_coefficient, self._padded_factors
        return dirichlet_sum(self.layout, self.kind, coefficient, self.spacing, factors)

    def _box_faces(self) -> Iterator[Face]:
        coefficient, factors = self._padded_coefficient, self._padded_factors
        return face_weights(self.layout, self.kind, coefficient, self.spacing, self.mean, factors)

    def faces(self) -> Iterator[Face]:
        """Yield axis, side (-1 or 1), and on the grid the weight of that face of each cell, as a link to a fluid cell
        and as a Dirichlet face; at most one of the two is not zero.
        """
        own = tuple(slice(0, n) for n in self.local_shape)
        for axis, side, link, wall in self._box_faces():
            yield axis, side, link[own], wall[own]

    def apply(self, grid: Array) -> Array:
        """Return A u for a grid array; values outside of the fluid count as zero."""
        namespace(grid, self.mask)
        if grid.dtype.kind != "f":
            grid = as_finite(grid, "the vector")
        dtype = grid.dtype if self.constant else np.float64
        u = self.layout.spread(grid * self.mask, dtype)
        out = self.layout.zeros(self.xp, dtype)
        self.space.apply(u, out)
        return self.layout.cells(out).astype(grid.dtype, copy=False)

    def matvec(self, x: Array) -> Array:
        """Return A x for a grid array or a flat array (n,) or (n, 1)."""
        if tuple(x.shape) == self.local_shape:
            return self.apply(x)
        self.check_shape(x, "the vector")
        return self.compress(self.apply(self.expand(x))).reshape(x.shape)

    rmatvec = matvec

    def matmat(self, x: Array) -> Array:
        """Return A X for flat columns (n, k)."""
        return self.xp.stack([self.matvec(x[:, k]) for k in range(x.shape[1])], axis=1)

    def __matmul__(self, x: Array) -> Array:
        if x.ndim == 2 and tuple(x.shape) != self.local_shape and x.shape[0] == self.size:
            return self.matmat(x)
        return self.matvec(x)

    dot = __call__ = __matmul__

    def check_shape(self, x: Array, name: str) -> None:
        """Refuse a vector that is neither a grid array nor the flat array of this rank's unknowns."""
        if tuple(x.shape) not in (self.local_shape, (self.size,), (self.size, 1)):
            expected = f"the grid {self.local_shape} or ({self.size},)"
            raise ShapeError(f"{name} has shape {tuple(x.shape)}; expected {expected}")
        namespace(x, self.mask)

    def compress(self, grid: Array) -> Array:
        """Return the fluid cells of a grid array, flat (n,)."""
        return grid.reshape(-1)[self.indices]

    def expand(self, flat: Array) -> Array:
        """Return the grid array of a flat one, zero outside of the fluid."""
        flat = self.xp.asarray(flat) if namespace(flat, self.mask) is self.xp else flat
        grid = self.xp.zeros(self.mask.size, dtype=flat.dtype)
        grid[self.indices] = flat.reshape(-1)
        return grid.reshape(self.local_shape)

    def gather(self, grid: Array) -> Array:
        """Return on every rank the whole grid (*grid_shape) of which each holds its block (collective)."""
        if self.comm is None:
            return grid
        self.check_shape(grid, "the vector")
        blocks = np.array([[s.start, s.stop] for s in self.slices]).reshape(1, -1)
        flat, cuts = allgather_rows(grid.reshape(-1), self.comm), allgather_rows(blocks, self.comm)
        whole, at = self.xp.empty(self.grid_shape, dtype=grid.dtype), 0
        for cut in cuts.reshape(-1, self.ndim, 2).tolist():
            key, count = tuple(slice(a, b) for a, b in cut), prod(b - a for a, b in cut)
            whole[key] = flat[at : at + count].reshape([b - a for a, b in cut])
            at += count
        return whole

    def gathered_factors(self) -> list[Array] | None:
        """Return the factors of the faces of the whole grid; collective."""
        if self._padded_factors is None:
            return None
        pairs = (both_ends(self.layout, padded, axis) for axis, padded in enumerate(self._padded_factors))
        return [joined(self.gather(low), self.gather(high), axis) for axis, (low, high) in enumerate(pairs)]

    def _labels(self, x: Array) -> Array:
        """Return the closed component of each entry of a grid or flat array."""
        assert self.space.components is not None
        labels = self.space.components.labels[tuple(slice(0, n) for n in self.local_shape)]
        return labels if tuple(x.shape) == self.local_shape else self.compress(labels).reshape(x.shape)

    def project(self, x: Array) -> Array:
        """Remove the null space: subtract the mean over each closed component of the fluid."""
        if self.space.components is None:
            return x
        projected = x - self.space.components.shift(x, self._labels(x))
        return (projected * self.mask if tuple(x.shape) == self.local_shape else projected).astype(x.dtype)

    def inconsistency(self, b: Array) -> float:
        """Return the largest |sum of b| over a closed component, relative to the sum of |b|; 0 if A is regular."""
        if self.space.components is None:
            return 0.0
        values = b * self.mask if tuple(b.shape) == self.local_shape else b
        total = self.grid.total(float(self.xp.abs(values).sum()))
        sums = self.space.components.sums(values, self._labels(b))
        return float(self.xp.abs(sums).max()) / total if total > 0 else 0.0

    def consistent(self, b: Array) -> Array:
        """Return b without its part in the null space.

        Raises
        ------
        ConvergenceError
            If that part is more than rounding.
        """
        part = self.inconsistency(b)
        if part > CONSISTENT:
            raise ConvergenceError(
                f"the system is singular and b sums to {part:.3g} of its absolute sum over a closed component of the "
                "fluid; expected zero: use A.project(b), or open the domain by a Dirichlet wall"
            )
        return self.project(b)

    def boundary_source(self, values: Real) -> Array:
        """Return the right-hand side of Dirichlet values: the sum over Dirichlet faces of w times the value.

        Parameters
        ----------
        values : (*grid + 2) array
            Values on the grid with a halo of one cell; those beyond Dirichlet walls and in Dirichlet bodies are read.

        Returns
        -------
        (*grid) array
        """
        if tuple(values.shape) != tuple(n + 2 for n in self.local_shape):
            raise ShapeError(f"values has shape {tuple(values.shape)}; expected the grid and one layer around it")
        result = self.xp.zeros(self.local_shape)
        for axis, side, _, wall in self.faces():
            result += self.xp.where(wall > 0, wall * beyond_face(values, axis, side), 0.0)
        return result

    def to_scipy(self) -> Any:
        """Return the matrix over the fluid cells, assembled in float64, as a `scipy.sparse.csr_matrix` on the host.

        Raises
        ------
        InvalidValueError
            On ranks.
        """
        if self.comm is not None:
            raise InvalidValueError("the operator is spread over ranks; expected comm=None for the assembled matrix")
        return to_csr(self.mask, self.periodic, self.diagonal, self.faces())

    @property
    def nbytes(self) -> int:
        """Bytes of the stencil, the mask, the coefficient and the reaction."""
        arrays = (self.stencil.d, self.stencil.offdiag, self.kind, self.mask, self.neumann_body, self.coefficient)
        more = (self.reaction, self.unreacted, self._padded_factors)
        return int(sum(a.nbytes for a in (*arrays, *more) if a is not None))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.comm is not None:
            raise InvalidValueError(
                "the operator is spread over ranks, and a communicator cannot be pickled; expected an operator of one "
                "process, or its mask and settings"
            )
        coefficient = None if self.coefficient is None else self.coefficient.copy()
        options = {"neumann_body": self.neumann_body, "coefficient": coefficient, "mean": self.mean}
        options["reaction"] = self.reaction
        options["face_factors"] = self.gathered_factors()
        return _rebuilt, (self.mask, self.spacing, self.boundary, options)

    def __repr__(self) -> str:
        walls = ", ".join(low if low == high else f"{low}/{high}" for low, high in self.boundary)
        varying = "" if self.coefficient is None else ", varying coefficient"
        varying += "" if self.reaction is None else ", reaction"
        ranks = "" if self.comm is None else f", {size_of(self.comm)} ranks"
        return (
            f"PoissonOperator({'x'.join(map(str, self.grid_shape))} cells, {self.n_unknowns} unknowns, {walls}"
            f"{varying}{', singular' if self.singular else ''}{ranks}, {self.nbytes} bytes)"
        )


def _rebuilt(mask: Array, spacing: Any, boundary: Any, options: dict[str, Any]) -> PoissonOperator:
    """Return the operator that was pickled."""
    return PoissonOperator(mask, spacing, boundary, **options)
