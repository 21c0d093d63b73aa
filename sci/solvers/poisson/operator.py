"""The Poisson operator -div(c grad u) on a box of cells with bodies inside: 7 points in space, 5 in the plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from sci.backend import Array, as_finite, namespace, to_host
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.solvers.poisson.boundary import as_spacing, beyond_face, insulating_cells, parse_walls
from sci.solvers.poisson.components import closed_components
from sci.solvers.poisson.grid import Layout
from sci.solvers.poisson.stencil import Stencil

__all__ = ["PoissonOperator"]


class PoissonOperator:
    """Symmetric finite-volume operator A u = -div(c grad u) on the fluid cells of a grid.

        (A u)_i = sum over faces of i of w (u_i - u_j),    w = c / h^2,

    where j is the cell beyond the face. Beyond a Dirichlet wall, and in a Dirichlet body, u_j = 0 at the center of that
    cell; a face on a Neumann wall or body has w = 0; a periodic axis wraps round.

    Parameters
    ----------
    fluid_mask : (*grid) array_like of bool
        True in the cells that are unknowns; 2 or 3 axes of any length. NumPy or CuPy.
    spacing : float or sequence of float
        Width of a cell, for all axes or for each.
    boundary : str or sequence
        "dirichlet", "neumann" or "periodic" on the walls of the box; one for each axis, or a pair (low, high) for each
        axis, where walls differ.
    body : "dirichlet", "neumann" or (*grid) array_like of bool
        Condition on the surface of the cells outside of the fluid; an array is true in the Neumann bodies.
    coefficient : (*grid) array_like, optional
        Positive coefficient c of each cell; 1 by default.
    mean : "harmonic" or "arithmetic"
        The coefficient of a face between two fluid cells: the harmonic mean keeps the flux right where c jumps at the
        face, the arithmetic mean suits a smooth c. A Dirichlet face has the coefficient of its fluid cell.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    A vector is a grid array, zero outside of the fluid, or the flat array of its fluid cells in C order; every method
    takes both and answers in kind. With c = 1 and cubic cells the operator holds one byte a cell, the number of its
    faces that count; otherwise ndim + 1 numbers. The kernel of a singular operator is spanned by the constants on the
    parts of the fluid that touch no Dirichlet face; `project` removes them.

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
        fluid_mask: Any,
        spacing: float | Sequence[float] = 1.0,
        boundary: Any = "dirichlet",
        *,
        body: Any = "dirichlet",
        coefficient: Any = None,
        mean: str = "harmonic",
    ) -> None:
        mask = fluid_mask if hasattr(fluid_mask, "dtype") else np.asarray(fluid_mask)
        if mask.dtype.kind not in "biu":
            raise DTypeError(f"fluid_mask has dtype {mask.dtype}; expected booleans")
        if mask.ndim not in (2, 3) or 0 in mask.shape:
            raise ShapeError(f"fluid_mask has shape {tuple(mask.shape)}; expected 2 or 3 axes of at least one cell")
        if mean not in ("harmonic", "arithmetic"):
            raise InvalidValueError(f"mean is {mean!r}; expected 'harmonic' or 'arithmetic'")
        self.mask: Array = mask.astype(bool)
        self.xp = namespace(self.mask)
        self.grid_shape: tuple[int, ...] = tuple(self.mask.shape)
        self.ndim = len(self.grid_shape)
        self.spacing = as_spacing(spacing, self.ndim)
        self.walls = parse_walls(boundary, self.ndim)
        self.insulating: Array = insulating_cells(body, self.mask)
        self.coefficient = None if coefficient is None else self._checked_coefficient(coefficient)
        self.mean = mean
        # Round an axis of one cell the cell beyond is the cell itself: nothing flows, as through a Neumann wall.
        self.periodic = tuple(low == "periodic" and n > 1 for (low, _), n in zip(self.walls, self.grid_shape))
        self.interior = (slice(1, -1),) * self.ndim
        self.size = int(self.mask.sum())
        self.shape = (self.size, self.size)
        self.dtype = np.dtype(np.float64)
        if self.size == 0:
            raise InvalidValueError("fluid_mask holds no fluid cell; expected at least one")
        self.constant = self.coefficient is None and len(set(self.spacing)) == 1
        """Whether all faces that count have the weight `weight`."""
        self.weight = 1.0 / self.spacing[0] ** 2
        self.layout = Layout(self.grid_shape, self.periodic)
        self.stencil = self._build_stencil()
        self.labels, self.component_sizes = closed_components(self)
        self.singular = bool(self.component_sizes.size)
        """Whether constants on some part of the fluid are in the kernel."""

    def _checked_coefficient(self, coefficient: Any) -> Array:
        values = as_finite(coefficient, "coefficient", shape=self.grid_shape, xp=self.xp)
        namespace(values, self.mask)
        if not bool((values[self.mask] > 0).all()):
            raise InvalidValueError("coefficient holds values that are not positive in fluid cells; expected c > 0")
        return values

    def _build_stencil(self) -> Stencil:
        if self.constant:
            counts = 2 * self.ndim * self.mask.astype(np.int8)
            if bool((self.kind == 1).any()):
                for axis in range(self.ndim):
                    for side in (-1, 1):
                        counts -= self.mask & (beyond_face(self.kind, axis, side) == 1)
            return Stencil(self.layout, self.layout.spread(counts), None, self.weight)
        links, diagonal, _ = assemble(self.layout, self.faces())
        return Stencil(self.layout, self.layout.spread(diagonal), links, 1.0)

    @cached_property
    def kind(self) -> Array:
        """Of each cell, with one layer around the grid: 0 Dirichlet, 1 Neumann, 2 fluid."""
        kind = self.xp.zeros(tuple(n + 2 for n in self.grid_shape), dtype=np.int8)
        kind[self.interior] = 2 * self.mask.astype(np.int8) + self.insulating
        for axis, (low, high) in enumerate(self.walls):
            _ghost(kind, axis, -1)[...] = int(low != "dirichlet")
            _ghost(kind, axis, 1)[...] = int(high != "dirichlet")
        return wrap(kind, self.periodic)

    @cached_property
    def indices(self) -> Array:
        """Place of each unknown in the flattened grid."""
        return self.xp.flatnonzero(self.mask)

    @cached_property
    def diagonal(self) -> Array:
        """Diagonal of the matrix, on the grid."""
        if self.constant:
            return self.weight * self.layout.cells(self.stencil.d).astype(np.float64)
        return sum(link + wall for _, _, link, wall in self.faces())

    @cached_property
    def dirichlet(self) -> Array:
        """Sum of the weights of the Dirichlet faces of each cell, on the grid."""
        return sum(wall for _, _, _, wall in self.faces())

    def faces(self) -> Iterator[tuple[int, int, Array, Array]]:
        """Yield axis, side (-1 or 1), and on the grid the weight of that face of each cell as a link to a fluid cell
        and as a Dirichlet face; at most one of the two is not zero.
        """
        coefficient = None
        if self.coefficient is not None:
            coefficient = self.xp.ones(self.kind.shape)
            coefficient[self.interior] = self.coefficient
            wrap(coefficient, self.periodic)
        return face_weights(self.kind, coefficient, self.spacing, self.mean)

    def pad(self, grid: Array) -> Array:
        """Return a grid array with a layer of cells around it: zeros, or the other side of a periodic axis."""
        padded = self.xp.zeros(tuple(n + 2 for n in self.grid_shape), dtype=grid.dtype)
        padded[self.interior] = grid
        return wrap(padded, self.periodic)

    def apply(self, grid: Array) -> Array:
        """Return A u for a grid array; what `grid` holds outside of the fluid is taken as zero."""
        namespace(grid, self.mask)
        if grid.dtype.kind != "f":
            grid = as_finite(grid, "the vector")
        dtype = grid.dtype if self.constant else np.float64
        u = self.layout.wrap(self.layout.spread(grid * self.mask, dtype))
        out = self.layout.zeros(self.xp, dtype)
        self.stencil.apply(u, out)
        return self.layout.cells(out).astype(grid.dtype, copy=False)

    def matvec(self, x: Array) -> Array:
        """Return A x for a grid array or a flat array (n,) or (n, 1)."""
        if tuple(x.shape) == self.grid_shape:
            return self.apply(x)
        if tuple(x.shape) not in ((self.size,), (self.size, 1)):
            raise ShapeError(
                f"the vector has shape {tuple(x.shape)}; expected the grid {self.grid_shape} or ({self.size},)"
            )
        return self.gather(self.apply(self.scatter(x))).reshape(x.shape)

    rmatvec = matvec

    def matmat(self, x: Array) -> Array:
        """Return A X for flat columns (n, k)."""
        return self.xp.stack([self.matvec(x[:, k]) for k in range(x.shape[1])], axis=1)

    def __matmul__(self, x: Array) -> Array:
        if x.ndim == 2 and tuple(x.shape) != self.grid_shape and x.shape[0] == self.size:
            return self.matmat(x)
        return self.matvec(x)

    dot = __call__ = __matmul__

    def gather(self, grid: Array) -> Array:
        """Return the fluid cells of a grid array, flat (n,)."""
        return grid.reshape(-1)[self.indices]

    def scatter(self, flat: Array) -> Array:
        """Return the grid array of a flat one, zero outside of the fluid."""
        flat = self.xp.asarray(flat) if namespace(flat, self.mask) is self.xp else flat
        grid = self.xp.zeros(self.mask.size, dtype=flat.dtype)
        grid[self.indices] = flat.reshape(-1)
        return grid.reshape(self.grid_shape)

    def project(self, x: Array) -> Array:
        """Remove the kernel: subtract the mean over each part of the fluid that touches no Dirichlet face."""
        if not self.singular:
            return x
        xp, on_grid = self.xp, tuple(x.shape) == self.grid_shape
        flat = self.gather(x) if on_grid else x.reshape(-1)
        means = self._component_sums(flat) / self.component_sizes
        shift = xp.concatenate([xp.zeros(1), means])[self.labels]
        projected = (flat - shift).astype(x.dtype)
        return self.scatter(projected) if on_grid else projected.reshape(x.shape)

    def project_padded(self, padded: Array) -> None:
        """Remove the kernel from a padded array, in place."""
        cells = self.layout.cells(padded)
        if self.component_sizes.size == 1 and float(self.component_sizes[0]) == self.size:
            cells -= float(cells.sum(dtype=np.float64)) / self.size
            cells *= self.mask
        else:
            cells[...] = self.project(cells)

    def _component_sums(self, flat: Array) -> Array:
        return self.xp.bincount(self.labels, weights=flat, minlength=self.component_sizes.size + 1)[1:]

    def inconsistency(self, b: Array) -> float:
        """Return the largest |sum of b| over a closed part of the fluid, relative to the sum of |b|; 0 if regular."""
        if not self.singular:
            return 0.0
        flat = self.gather(b) if tuple(b.shape) == self.grid_shape else b.reshape(-1)
        total = float(self.xp.abs(flat).sum())
        return float(self.xp.abs(self._component_sums(flat)).max()) / total if total > 0 else 0.0

    def boundary_source(self, values: Array) -> Array:
        """Return the right-hand side that Dirichlet values give: the sum over Dirichlet faces of w times the value.

        Parameters
        ----------
        values : (*grid + 2) array
            Values on the grid with one layer of cells around it; those beyond Dirichlet walls and in Dirichlet bodies
            are read.

        Returns
        -------
        (*grid) array
        """
        if tuple(values.shape) != tuple(n + 2 for n in self.grid_shape):
            raise ShapeError(f"values has shape {tuple(values.shape)}; expected the grid and one layer around it")
        result = self.xp.zeros(self.grid_shape)
        for axis, side, _, wall in self.faces():
            result += self.xp.where(wall > 0, wall * beyond_face(values, axis, side), 0.0)
        return result

    def to_scipy(self) -> Any:
        """Return the matrix over the fluid cells, assembled in float64, as a `scipy.sparse.csr_matrix` on the host."""
        from scipy import sparse

        number = np.full(tuple(n + 2 for n in self.grid_shape), -1, dtype=np.int64)
        mask = to_host(self.mask)
        inside = np.full(self.grid_shape, -1, dtype=np.int64)
        inside[mask] = np.arange(self.size)
        number[self.interior] = inside
        wrap(number, self.periodic)
        rows, columns = [np.arange(self.size)], [np.arange(self.size)]
        entries = [to_host(self.diagonal)[mask]]
        for axis, side, link, _ in self.faces():
            weights = to_host(link)
            linked = weights > 0
            rows.append(inside[linked])
            columns.append(beyond_face(number, axis, side)[linked])
            entries.append(-weights[linked])
        triplet = (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.coo_matrix(triplet, shape=self.shape).tocsr()


def face_weights(
    kind: Array, coefficient: Array | None, spacing: Sequence[float], mean: str
) -> Iterator[tuple[int, int, Array, Array]]:
    """Yield what `PoissonOperator.faces` does, from kinds and coefficients with a layer of cells around the grid."""
    xp, inner = namespace(kind), (slice(1, -1),) * kind.ndim
    mask = kind[inner] == 2
    for axis, h in enumerate(spacing):
        for side in (-1, 1):
            beyond = beyond_face(kind, axis, side)
            link = (mask & (beyond == 2)).astype(np.float64) / h**2
            wall = (mask & (beyond == 0)).astype(np.float64) / h**2
            if coefficient is not None:
                there = xp.where(beyond == 2, beyond_face(coefficient, axis, side), 1.0)
                here = xp.where(mask, coefficient[inner], 1.0)
                weight = 2 * here * there / (here + there) if mean == "harmonic" else (here + there) / 2
                link, wall = link * weight, wall * here
            yield axis, side, link, wall


def assemble(layout: Layout, faces: Iterator[tuple[int, int, Array, Array]]) -> tuple[Array, Array, Array]:
    """Return the links (3, *padded) of a stencil, and on the grid its diagonal and what Dirichlet faces add to that."""
    links, diagonal, dirichlet = None, None, None
    for axis, side, link, wall in faces:
        if links is None:
            links = namespace(link).zeros((3, *layout.padded_shape))
            diagonal, dirichlet = link * 0, link * 0
        diagonal += link + wall
        dirichlet += wall
        k = axis + 3 - len(layout.grid_shape)
        place = list(layout.key)
        if side > 0:
            place[k] = slice(2, layout.lengths[k] + 2)
        links[k][tuple(place)] = link
    return links, diagonal, dirichlet


def _ghost(padded: Array, axis: int, side: int) -> Array:
    key = [slice(None)] * padded.ndim
    key[axis] = slice(-1, None) if side > 0 else slice(0, 1)
    return padded[tuple(key)]


def wrap(padded: Array, periodic: Sequence[bool]) -> Array:
    """Fill, in place, the layer around a grid on its periodic axes from the other side."""
    for axis, wraps in enumerate(periodic):
        if wraps:
            key: list[Any] = [slice(None)] * padded.ndim
            for target, source in ((0, -2), (-1, 1)):
                to, come = list(key), list(key)
                to[axis], come[axis] = target, source
                padded[tuple(to)] = padded[tuple(come)]
    return padded
