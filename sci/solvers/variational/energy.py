"""An energy on a grid: its value, its derivative, its Hessian, and the exact change along a direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from math import prod
from typing import Any, TypeVar, cast

import numpy as np

from sci.arguments import Real, collective_entry
from sci.backend import Array, as_finite, namespace, to_host
from sci.distributed import agreed
from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.solvers.poisson.faces import DIRICHLET
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.variational.densities import (
    EnergyDensity,
    Points,
    checked_pair,
    checked_values,
    is_local,
    remainder,
)
from sci.solvers.variational.octants import Corner, Corners, view_around

__all__ = ["Energy"]

T = TypeVar("T")
LEAST_COEFFICIENT = 1e-7
"""The coefficient of a metric is at least this part of its mean."""


@collective_entry
class Energy:
    """The energy of a function on the fluid cells of a grid.

        E(u) = h^ndim [ diffusion u'A u / 2 + sum of L(x, u, grad u) - f'u ],

    whose minimum solves diffusion A u - div dL/dp + dL/du = f.

    Parameters
    ----------
    A : PoissonOperator
        The cells, walls and bodies; the quadratic part; and the metric of descent.
    density : EnergyDensity
        L and its derivatives.
    f : (*grid) array_like, optional
        Source of each cell of this rank; 0 by default. Values outside of the fluid are not read.
    diffusion : float
        Factor of the quadratic part u'A u / 2, the energy of -div(c grad u) + r u; 0 leaves it out.
    values : (*grid + 2) array_like, optional
        Values beyond Dirichlet walls and in Dirichlet bodies, on the grid with a layer of one cell; 0 by default.
        Values elsewhere are not read.
    origin : sequence of float, optional
        Center of the first cell of the whole grid; half a cell by default, so that the box starts at 0.

    Raises
    ------
    ShapeError, InvalidValueError, DTypeError
        On every rank.

    Notes
    -----
    A density of the gradient is averaged over the corners of each cell, whose gradients are one-sided differences: the
    sum is as convex as L, sees every mode of the grid, and is of second order. Dirichlet values hold at the centers of
    the cells beyond a face, as in `PoissonOperator`. Constants in u are left out of the value.

    Collective, as all methods are; arrays are blocks of this rank.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import Energy, PLaplacian, PoissonOperator
    >>> A = PoissonOperator(np.ones((16, 16), dtype=bool), 1 / 17)
    >>> Energy(A, PLaplacian(3.0), f=np.ones((16, 16)))
    Energy(PLaplacian(exponent=3, regularization=0.001), 16x16 cells)
    """

    def __init__(
        self,
        A: PoissonOperator,
        density: EnergyDensity,
        *,
        f: Any = None,
        diffusion: float = 0.0,
        values: Any = None,
        origin: Sequence[float] | None = None,
    ) -> None:
        self.A, self.density, self.comm, self.xp = A, density, A.comm, A.xp
        self.local = is_local(density)
        with agreed(self.comm, "Energy") as agreement:
            if isinstance(density, type):
                raise DTypeError(
                    f"density is the class {density.__name__}; expected an object, as {density.__name__}()"
                )
            if not 0 <= diffusion < float("inf"):
                raise InvalidValueError(f"diffusion is {diffusion}; expected a number of zero or more")
            if self.local and diffusion == 0:
                raise InvalidValueError("diffusion is 0 and the density reads no gradient; expected diffusion > 0")
            self.diffusion = float(diffusion)
            start = tuple(0.5 * h for h in A.spacing) if origin is None else tuple(float(c) for c in origin)
            if len(start) != A.ndim or not np.isfinite(start).all():
                raise InvalidValueError(f"origin is {origin}; expected {A.ndim} numbers")
            self.origin = start
            self.values = self._on_halo(values)
            source = self.xp.zeros(A.local_shape)
            if f is not None:
                source = as_finite(f, "f", shape=A.local_shape, xp=self.xp)
                namespace(source, A.mask)
            agreement.same(diffusion=self.diffusion, origin=start, density=type(density).__name__)
            agreement.same(values=None if values is None else "given", f=None if f is None else "given")
        if self.values is not None:
            padded = A.layout.zeros(self.xp, np.float64)
            padded[view_around(A)] = self.values
            self.values = A.grid.fill(padded)[view_around(A)].copy()
        self.given_source: Array = source
        """f as it was given."""
        if self.diffusion and self.values is not None:
            source = source + self.diffusion * A.boundary_source(self.values)
        self.source: Array = source * A.mask
        """f with the Dirichlet values of the quadratic part."""
        self.volume = prod(A.spacing)

    def _on_halo(self, values: Any) -> Array | None:
        """Return the values in Dirichlet cells."""
        if values is None:
            return None
        shape = tuple(n + 2 for n in self.A.local_shape)
        if tuple(getattr(values, "shape", ())) != shape:
            raise ShapeError(
                f"values has shape {getattr(values, 'shape', None)}; expected {shape}, with a layer around"
            )
        fixed = self.A.kind[view_around(self.A)] == DIRICHLET
        inside = as_finite(self.xp.where(fixed, values, 0.0), "values in Dirichlet cells")
        namespace(inside, self.A.mask)
        return inside

    @cached_property
    def _corners(self) -> Corners:
        return Corners(self.A)

    @cached_property
    def points(self) -> Points:
        """Coordinates of the cells along each axis, which broadcast against one another."""
        return self._axes(0)

    def _axes(self, layer: int) -> Points:
        axes = []
        for axis, (first, h, cells, n) in enumerate(
            zip(self.origin, self.A.spacing, self.A.slices, self.A.local_shape)
        ):
            line = first + h * (cells.start + self.xp.arange(-layer, n + layer))
            axes.append(line.reshape([-1 if k == axis else 1 for k in range(self.A.ndim)]))
        return tuple(axes)

    @cached_property
    def _points_around(self) -> Points:
        return self._axes(1)

    def total(self, a: Array, b: Array) -> float:
        """Return the volume times the sum over the ranks of a b."""
        return self.volume * self.A.grid.total(float(self.xp.vdot(a, b)))

    def _quadratic(self, u: Array) -> float:
        """Return the quadratic part of the energy; collective."""
        if self.diffusion == 0:
            return 0.0
        form = self.A.space.local_quadratic_form(self.A.layout.spread(u))
        return 0.5 * self.diffusion * self.volume * self.A.grid.total(form)

    def _checked(self, values: Array, what: str) -> Array:
        """Return values of the density; refuse NaN where they are read, with its place."""
        xp = self.xp
        with agreed(self.comm, what):
            wrong = xp.isnan(values)
            if bool(wrong.any()):
                at = tuple(int(k[0]) for k in to_host(xp.stack(xp.nonzero(wrong)))[:, :1])
                raise ConvergenceError(
                    f"{what} of {type(self.density).__name__} is NaN in cell {at} of this block, and in "
                    f"{int(wrong.sum())} cells; expected numbers for every finite u"
                )
        return values

    def __call__(self, u: Real) -> float:
        """Return E(u); infinite where the density overflows.

        Raises
        ------
        ShapeError, ConvergenceError
            On every rank: a wrong shape, and NaN in the density.
        """
        u = self._function(u)

        def inside() -> Array:
            found = checked_values(self.density.density(self.points, u, None), u, "density")
            return self.xp.where(self.A.mask, found, 0.0)

        cells = self._evaluated(inside) if self.local else self._corner_sum(u)
        value = self.A.grid.total(float(self._checked(cells, "density").sum()))
        linear = self.total(self.source, u)
        return self.volume * value + self._quadratic(u) - linear

    def _corner_sum(self, u: Array) -> Array:
        corners, here = self._corners, self._corners.padded(u, self.values)
        faces = corners.faces(here, data=True)

        def inside() -> Array:
            cells = self.xp.zeros(corners.shape)
            for corner in corners.corners:
                found = self.density.density(self._points_around, here, corners.gradient(faces, corner))
                cells += corners.only(corner, checked_values(found, here, "density")) * 0.5**corners.ndim
            return cells

        return self._evaluated(inside)

    def _evaluated(self, work: Callable[[], T]) -> T:
        """Return the result of functions of the density; an error on one rank is one on all."""
        with agreed(self.comm, "the density"), np.errstate(all="ignore"):
            return work()

    def gradient(self, u: Real) -> Array:
        """Return diffusion A u - div dL/dp + dL/du - f in each cell, zero outside of the fluid.

        Raises
        ------
        ShapeError, ConvergenceError
            On every rank.
        """
        u = self._function(u)
        if self.local:
            pair = self._evaluated(lambda: checked_pair(self._derivative(u), u, None, "derivative"))
            result = self.xp.where(self.A.mask, pair[0], 0.0)
        else:
            corners, here = self._corners, self._corners.padded(u, self.values)
            faces = corners.faces(here, data=True)
            result = corners.assemble(self._evaluated(lambda: corners.collect(self._pairs(here, faces))))
        result = self._checked(result, "derivative") - self.source
        if self.diffusion:
            result = result + self.diffusion * self.A.apply(u)
        return result

    def _derivative(self, u: Array) -> Any:
        return self.density.derivative(self.points, u, None)

    def _pairs(self, here: Array, faces: list[Array]) -> Iterator[tuple[Corner, Array, Array]]:
        for corner in self._corners.corners:
            p = self._corners.gradient(faces, corner)
            by_u, by_p = checked_pair(self.density.derivative(self._points_around, here, p), here, p, "derivative")
            assert by_p is not None
            yield corner, by_u, by_p

    def change(self, u: Real, direction: Real) -> Callable[[float], float]:
        """Return the function of t with the remainder E(u + t d) - E(u) - t (gradient, d), without cancellation.

        With the slope (gradient, d) it is the change of the energy to the precision of the gradient, however small the
        change is beside E. Infinite where the density overflows or has no value.
        """
        u, d = self._function(u), self._function(direction)
        curvature = self._quadratic(d)
        measure = self._local_remainder(u, d) if self.local else self._corner_remainder(u, d)

        def along(t: float) -> float:
            own = self._evaluated(lambda: measure(t))
            found = self.volume * self.A.grid.total(own if np.isfinite(own) else np.inf)
            return curvature * t * t + found

        return along

    def _local_remainder(self, u: Array, d: Array) -> Callable[[float], float]:
        def measure(t: float) -> float:
            cells = remainder(self.density, self.points, u, None, t * d, None)
            return float(self.xp.where(self.A.mask, cells, 0.0).sum())

        return measure

    def _corner_remainder(self, u: Array, d: Array) -> Callable[[float], float]:
        corners = self._corners
        here, there = corners.padded(u, self.values), corners.padded(d, None)
        faces, moved = corners.faces(here, data=True), corners.faces(there, data=False)

        def measure(t: float) -> float:
            total = 0.0
            for corner in corners.corners:
                p, q = corners.gradient(faces, corner), corners.gradient(moved, corner)
                cells = remainder(self.density, self._points_around, here, p, t * there, t * q)
                total += float(corners.only(corner, cells).sum()) * 0.5**corners.ndim
            return total

        return measure

    def second_derivative(self, u: Real, *, convex: bool = False) -> Array:
        """Return d2L/du2 of a local density in each cell, or of its convex part."""
        product, ones = self._product(convex), self.xp.ones(u.shape)
        by_u, _ = self._evaluated(lambda: checked_pair(product(self.points, u, None, ones, None), u, None, "hessian"))
        return self._checked(self.xp.where(self.A.mask, by_u, 0.0), "hessian")

    def _product(self, convex: bool) -> Callable[..., Any]:
        name = "convex_hessian" if convex else "hessian"
        product: Callable[..., Any] | None = getattr(self.density, name, None)
        if product is None:
            raise InvalidValueError(f"{self.density!r} has no {name}; expected a density with one")
        return product

    def hessian(self, u: Real, *, convex: bool = False) -> Callable[[Array], Array]:
        """Return the product with the Hessian at u of a grid array, or of the convex part of the density.

        Raises
        ------
        InvalidValueError
            If the density has none.
        """
        u, product = self._function(u), self._product(convex)
        corners = cast("Corners", None if self.local else self._corners)
        here = None if self.local else corners.padded(u, self.values)
        faces = [] if here is None else corners.faces(here, data=True)

        def pairs(there: Array) -> Iterator[tuple[Corner, Array, Array]]:
            assert here is not None
            moved = corners.faces(there, data=False)
            for corner in corners.corners:
                p, q = corners.gradient(faces, corner), corners.gradient(moved, corner)
                found = product(self._points_around, here, p, there, q)
                by_u, by_p = checked_pair(found, here, p, "hessian")
                assert by_p is not None
                yield corner, by_u, by_p

        second = self.second_derivative(u, convex=convex) if self.local else None

        def apply(v: Array) -> Array:
            if second is None:
                there = corners.padded(v, None)
                result = corners.assemble(self._evaluated(lambda: corners.collect(pairs(there))))
            else:
                result = second * v
            return result + self.diffusion * self.A.apply(v) if self.diffusion else result

        return apply

    def coefficient(self, u: Real) -> Array:
        """Return the secant coefficient in each cell, plus that of the quadratic part; at least 1e-7 of the mean.

        It is (dL/dp(p) - dL/dp(-p)) . p / (2 |p|^2), positive for a convex density; -div(coefficient grad u) is the
        derivative of an isotropic one. Where the gradient vanishes, the limit along the first axis stands in.
        """
        A, xp = self.A, self.xp
        result = self.diffusion * (xp.ones(A.local_shape) if A.coefficient is None else A.coefficient)
        if not self.local:
            corners, here = self._corners, self._corners.padded(self._function(u), self.values)
            faces = corners.faces(here, data=True)
            square = self.total(A.mask, corners.mean(self._squares(faces)))
            least = 1e-8 * (square / self.volume / A.n_unknowns) ** 0.5 or 1e-8
            secants = self._evaluated(lambda: corners.mean(self._secants(here, faces, least)))
            result = result + self._checked(secants, "derivative")
        mean = A.grid.total(float((result * A.mask).sum())) / A.n_unknowns
        return xp.where(A.mask, xp.maximum(result, LEAST_COEFFICIENT * mean), 1.0)

    def reaction(self, u: Real) -> Array | None:
        """Return d2L/du2 in each cell, at least 0, plus the reaction of the quadratic part; None if it is zero."""
        A, corners = self.A, self._corners
        here = corners.padded(self._function(u), self.values)
        faces, t = corners.faces(here, data=True), 1e-5

        def changes() -> Iterator[tuple[Corner, Array]]:
            for corner in corners.corners:
                p = corners.gradient(faces, corner)
                first, second = (
                    checked_pair(self.density.derivative(self._points_around, v, p), here, p, "derivative")[0]
                    for v in (here - t, here + t)
                )
                yield corner, (second - first) / (2 * t)

        result = self._evaluated(lambda: corners.mean(changes()))
        result = self.xp.where(self.xp.isfinite(result), self.xp.maximum(result, 0.0), 0.0)
        if self.diffusion and A.reaction is not None:
            result = result + self.diffusion * A.reaction
        return result if A.grid.total(float(result.sum())) > 0 else None

    def _squares(self, faces: list[Array]) -> Iterator[tuple[Corner, Array]]:
        for corner in self._corners.corners:
            p = self._corners.gradient(faces, corner)
            yield corner, (p * p).sum(axis=0)

    def _secants(self, here: Array, faces: list[Array], least: float) -> Iterator[tuple[Corner, Array]]:
        for corner in self._corners.corners:
            p = self._corners.gradient(faces, corner)
            flat = (p * p).sum(axis=0) < least**2
            p[0] = self.xp.where(flat, least, p[0])
            slopes: list[Array] = []
            for side in (p, -p):
                pair = checked_pair(self.density.derivative(self._points_around, here, side), here, p, "derivative")
                assert pair[1] is not None
                slopes.append(pair[1])
            yield corner, ((slopes[0] - slopes[1]) * p).sum(axis=0) / (2 * (p * p).sum(axis=0))

    def _function(self, u: Any) -> Array:
        """Return u on the grid, zero outside of the fluid."""
        with agreed(self.comm, "Energy"):
            if tuple(getattr(u, "shape", ())) != self.A.local_shape:
                raise ShapeError(f"u has shape {getattr(u, 'shape', None)}; expected the grid {self.A.local_shape}")
        return u * self.A.mask

    def __repr__(self) -> str:
        cells = "x".join(map(str, self.A.grid_shape))
        quadratic = f", diffusion {self.diffusion:g}" if self.diffusion else ""
        return f"Energy({self.density!r}, {cells} cells{quadratic})"
