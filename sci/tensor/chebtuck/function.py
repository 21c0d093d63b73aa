"""The Chebyshev-Tucker format: a function of three variables as a small Tucker tensor of Chebyshev coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sci.arguments import entry
from sci.backend import Array, ArrayLike, Device, as_finite, as_points, namespace
from sci.chebyshev import as_interval, differentiate, gram_matrix, moments, vandermonde
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.tensor.chebtuck.evaluate import (
    Box,
    clip_to_box,
    clip_to_interval,
    evaluate_grid,
    evaluate_points,
    gradient_points,
)
from sci.tensor.chebtuck.sampling import Function, adaptive_series, grid_vectors_to_coefficients, values_to_series
from sci.tensor.decompose import arithmetic
from sci.tensor.decompose.hosvd import Method, hosvd, rhosvd
from sci.tensor.formats.cp import CP
from sci.tensor.formats.modes import as_tensor, mode_products
from sci.tensor.formats.tucker import Tucker, contract

__all__ = ["ChebTuck", "as_box"]

ROUNDING_TOL = 1e-14
"""Relative tolerance of the operators + and -, which have no place for an argument."""


def as_box(domain: Any) -> Box:
    """Return a domain as three pairs of floats a < b.

    Raises
    ------
    InvalidValueError
        If it is anything else.
    """
    try:
        x, y, z = domain
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"domain is {domain!r}; expected ((x0, x1), (y0, y1), (z0, z1))") from error
    return as_interval(x, "domain[0]"), as_interval(y, "domain[1]"), as_interval(z, "domain[2]")


@entry
@dataclass(frozen=True, eq=False)
class ChebTuck:
    """A function f(x) = sum_ijk core_ijk a_i(x_1) b_j(x_2) c_k(x_3) with a, b, c Chebyshev series on a box.

    Parameters
    ----------
    core : (r_1, r_2, r_3) real
    factors : three (degree_l + 1, r_l) real
        Chebyshev coefficients in their columns. Constructors, sums and products give orthonormal columns.
    domain : three (float, float)
        The box, in the coordinates of the user.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError

    Notes
    -----
    Storage: r^3 + 3 (degree + 1) r numbers. Tolerances of `truncate`, `add`, `multiply` and the constructors from
    arrays are relative to the Frobenius norm of the coefficient tensor; the largest error in space is commonly within a
    factor 2 of the same relative to max|f|, and at most the sum of the dropped coefficients.

    References
    ----------
    P. Benner, B. N. Khoromskij, V. Khoromskaia, B. Sun, arXiv 2503.01696.

    Examples
    --------
    >>> import numpy as np
    >>> box = ((-1.0, 1.0), (-1.0, 1.0), (-1.0, 1.0))
    >>> f = ChebTuck.from_function(lambda x, y, z: 1.0 / (3.0 + x + y * z), box, tol=1e-10)
    >>> point = np.array([[0.2, -0.5, 0.7]])
    >>> bool(abs(f(point)[0] - 1.0 / (3.2 - 0.35)) < 1e-10)
    True
    """

    core: ArrayLike
    factors: tuple[ArrayLike, ...]
    domain: Box
    # NumPy scalars on the left leave the product to __rmul__.
    __array_ufunc__: ClassVar[None] = None

    def __post_init__(self) -> None:
        series = Tucker(self.core, tuple(self.factors))
        if len(series.factors) != 3:
            raise ShapeError(f"core has shape {series.tucker_ranks}; expected three axes")
        if series.dtype.kind != "f":
            raise DTypeError(f"core and factors have dtype {series.dtype}; expected real numbers")
        object.__setattr__(self, "core", series.core)
        object.__setattr__(self, "factors", series.factors)
        object.__setattr__(self, "domain", as_box(self.domain))

    def __repr__(self) -> str:
        domain = ", ".join(f"[{a:.6g}, {b:.6g}]" for a, b in self.domain)
        return (
            f"ChebTuck(degree={self.degree}, tucker_ranks={self.tucker_ranks}, domain=({domain}), "
            f"dtype={self.dtype}, {self.nbytes} bytes)"
        )

    @classmethod
    def from_series(cls, series: Tucker, domain: Any) -> ChebTuck:
        """Return the function whose Chebyshev coefficients are the Tucker tensor `series`."""
        return cls(series.core, series.factors, domain)

    @classmethod
    def from_coefficients(
        cls, coefficients: ArrayLike, domain: Any, tol: float = 1e-12, *, method: Method = "auto"
    ) -> ChebTuck:
        """Compress a dense tensor of Chebyshev coefficients, (degree_1 + 1, degree_2 + 1, degree_3 + 1), by `hosvd`."""
        return cls.from_series(hosvd(as_tensor(coefficients, "coefficients", 3), tol, method=method), domain)

    @classmethod
    def from_values(cls, values: ArrayLike, domain: Any, tol: float = 1e-12) -> ChebTuck:
        """Interpolate values on the tensor grid of `sci.chebyshev.nodes`, and compress the coefficients by HOSVD.

        Parameters
        ----------
        values : (degree_1 + 1, degree_2 + 1, degree_3 + 1) real
        domain : three (float, float)
        tol : float
            Relative to the Frobenius norm of the coefficients.
        """
        return cls.from_coefficients(values_to_series(as_tensor(values, "values", 3)), domain, tol)

    @classmethod
    def from_function(
        cls, f: Function, domain: Any, tol: float = 1e-10, *, max_degree: int = 256, device: Device = "cpu"
    ) -> ChebTuck:
        """Approximate a function, with the degree of every axis chosen by the decay of its coefficients.

        Parameters
        ----------
        f : callable
            f(x, y, z) on arrays that broadcast, e.g. (n, 1, 1), (1, m, 1) and (1, 1, k), or three of shape (n,).
        domain : three (float, float)
        tol : float
            Largest error relative to max|f|, measured on the whole sample grid after compression; at least 3e-14. f
            must be free of noise of this size.
        max_degree : int
            Largest degree an axis; the dense samples take 8 (max_degree + 1)^3 bytes at worst.
        device : "cpu" or "cuda"
            Where the samples are taken and the result lies.

        Raises
        ------
        ConvergenceError
            If an axis is not resolved at `max_degree`, or f carries noise above the tolerance.

        Notes
        -----
        Grids start at degree 16; an axis that `sci.chebyshev.chop` finds unresolved doubles, which keeps all samples.
        100 pseudo-random points guard against aliasing.
        """
        box = as_box(domain)
        return cls.from_series(adaptive_series(f, box, tol, max_degree, device), box)

    @classmethod
    def from_cp(
        cls,
        cp: CP,
        domain: Any,
        degree: int | Sequence[int],
        tol: float = 1e-12,
        *,
        spline_degree: int = 5,
    ) -> ChebTuck:
        """Turn a CP tensor of values on a cell-centered grid into a function, by splines, DCT and RHOSVD.

        Parameters
        ----------
        cp : CP, three axes
            `factors[l][i]` belongs to a + (i + 1/2) (b - a) / n_l.
        domain : three (float, float)
        degree : int or three int
        tol : float
            Relative to the Frobenius norm of the coefficients; the spline's error comes on top.
        spline_degree : 1, 3, 5 or 7
            The published algorithm takes 3. On smooth vectors 5 is 2,000 to 30,000 times more accurate (measured on the
            long part of 1/r, 256 to 2048 cells); 3 is better where vectors vary from cell to cell.
        """
        box = as_box(domain)
        degrees = (degree,) * 3 if isinstance(degree, int) else tuple(degree)
        if len(cp.factors) != 3 or len(degrees) != 3:
            raise ShapeError(f"{len(cp.factors)} factors and {len(degrees)} degrees given; expected 3 of each")
        series = grid_vectors_to_coefficients(cp, box, degrees, spline_degree)
        return cls.from_cp_coefficients(series, box, tol)

    @classmethod
    def from_cp_coefficients(cls, cp: CP, domain: Any, tol: float = 1e-12) -> ChebTuck:
        """Compress a CP tensor of Chebyshev coefficients, factors (degree_l + 1, R), by `rhosvd`."""
        return cls.from_series(rhosvd(cp, tol), domain)

    @property
    def coefficients(self) -> Tucker:
        """The tensor of Chebyshev coefficients."""
        return Tucker(self.core, self.factors)

    @property
    def degree(self) -> tuple[int, ...]:
        """Degree along each axis."""
        return tuple(n - 1 for n in self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of coefficients along each axis."""
        return tuple(int(f.shape[0]) for f in self.factors)

    @property
    def tucker_ranks(self) -> tuple[int, ...]:
        """Shape of the core."""
        return tuple(int(r) for r in self.core.shape)

    @property
    def dtype(self) -> Any:
        """Common dtype of core and factors."""
        return self.coefficients.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of core and factors."""
        return self.coefficients.nbytes

    def __call__(self, points: ArrayLike) -> Array:
        """Evaluate at scattered points, (n, 3) -> (n,).

        Raises
        ------
        InvalidValueError
            If a point lies outside the domain, or is NaN or infinite.
        """
        return evaluate_points(self.core, self.factors, self.domain, self._inside(points))

    def gradient(self, points: ArrayLike) -> Array:
        """Evaluate the exact gradient of the expansion at scattered points, (n, 3) -> (n, 3)."""
        return self.value_and_gradient(points)[:, 1:]

    def value_and_gradient(self, points: ArrayLike) -> Array:
        """Evaluate the expansion and its exact gradient at scattered points, (n, 3) -> (n, 4)."""
        return gradient_points(self.core, self.factors, self.domain, self._inside(points))

    def _inside(self, points: ArrayLike) -> Array:
        return clip_to_box(as_points(points, xp=namespace(self.core)), self.domain)

    def _grid_axes(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> list[Array]:
        """Check three grid axes against the domain."""
        xp = namespace(self.core)
        named = zip((x, y, z), "xyz", self.domain)
        return [
            clip_to_interval(as_finite(v, name, shape=(None,), xp=xp), interval, axis)
            for axis, (v, name, interval) in enumerate(named)
        ]

    def on_grid(self, x: ArrayLike, y: ArrayLike, z: ArrayLike, out: Array | None = None) -> Array:
        """Evaluate on the tensor grid of three axes, (n_1,), (n_2,), (n_3,) -> (n_1, n_2, n_3).

        Parameters
        ----------
        x, y, z : arrays inside the domain
        out : C-contiguous (n_1, n_2, n_3) array, optional

        Notes
        -----
        Three matrix products in the cheapest order: near 2 r flops a grid point for fine grids. For grids larger than
        memory, call it slab by slab.
        """
        return evaluate_grid(self.core, self.factors, self.domain, self._grid_axes(x, y, z), out)

    def derivative(self, axis: int) -> ChebTuck:
        """Return the partial derivative along `axis`, of one degree less and the same ranks."""
        if axis not in (0, 1, 2):
            raise InvalidValueError(f"axis is {axis!r}; expected 0, 1 or 2")
        factors = list(self.factors)
        factors[axis] = differentiate(factors[axis], 0, self.domain[axis])
        return ChebTuck(self.core, tuple(factors), self.domain)

    def integral(self) -> float:
        """Return the integral over the domain, exact for the expansion."""
        xp = namespace(self.core)
        rows = [
            xp.asarray(moments(n - 1, interval))[None, :] @ f
            for n, interval, f in zip(self.shape, self.domain, self.factors)
        ]
        return float(mode_products(self.core, rows)[0, 0, 0])

    def inner(self, other: ChebTuck) -> float:
        """Return the integral of f g over the domain, from the exact Gram matrices of the Chebyshev polynomials."""
        self._same_domain(other)
        xp = namespace(self.core, other.core)
        crossed = [
            f.T @ (xp.asarray(gram_matrix(len(f) - 1, len(g) - 1, interval)) @ g)
            for f, g, interval in zip(self.factors, other.factors, self.domain)
        ]
        return float(contract(self.core, other.core, crossed).real)

    def norm(self) -> float:
        """Return the L2 norm over the domain."""
        return math.sqrt(max(self.inner(self), 0.0))

    def _same_domain(self, other: ChebTuck) -> None:
        if self.domain != other.domain:
            raise InvalidValueError(f"the domains {self.domain} and {other.domain} differ; build both on one domain")

    def add(self, other: ChebTuck, tol: float) -> ChebTuck:
        """Return f + g, truncated to `tol` relative to the sum's coefficients; the degree is the larger one."""
        self._same_domain(other)
        rows = [max(n, m) for n, m in zip(self.shape, other.shape)]
        a, b = (
            Tucker(f.core, tuple(arithmetic.pad_rows(v, n) for v, n in zip(f.factors, rows))) for f in (self, other)
        )
        return ChebTuck.from_series(arithmetic.add(a, b, tol), self.domain)

    def multiply(self, other: ChebTuck, tol: float) -> ChebTuck:
        """Return the product f g, truncated to `tol`; degrees add.

        Raises
        ------
        InvalidValueError
            If the product would form more than 2^27 entries on the way; truncate the factors first.
        """
        self._same_domain(other)
        return ChebTuck.from_series(arithmetic.multiply_series(self.coefficients, other.coefficients, tol), self.domain)

    def truncate(self, tol: float) -> ChebTuck:
        """Return the function with the smallest ranks that keep `tol` relative to the coefficients."""
        return ChebTuck.from_series(arithmetic.truncate(self.coefficients, tol), self.domain)

    def __add__(self, other: ChebTuck) -> ChebTuck:
        """Return f + g, truncated to 1e-14; `add` takes another tolerance."""
        return self.add(other, ROUNDING_TOL) if isinstance(other, ChebTuck) else NotImplemented

    def __sub__(self, other: ChebTuck) -> ChebTuck:
        """Return f - g, truncated to 1e-14."""
        return self.add(-other, ROUNDING_TOL) if isinstance(other, ChebTuck) else NotImplemented

    def __neg__(self) -> ChebTuck:
        """Return -f."""
        return ChebTuck(-self.core, self.factors, self.domain)

    def __mul__(self, scale: float) -> ChebTuck:
        """Return f times a number; products of functions are `multiply`."""
        if isinstance(scale, ChebTuck):
            return NotImplemented
        return ChebTuck(self.core * float(scale), self.factors, self.domain)

    __rmul__ = __mul__

    def __truediv__(self, scale: float) -> ChebTuck:
        """Return f divided by a number."""
        return self * (1.0 / float(scale))

    def to_tucker(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Tucker:
        """Return the values on a tensor grid as a Tucker tensor with orthonormal factors of the same ranks."""
        axes = self._grid_axes(x, y, z)
        bases = [vandermonde(v, len(f) - 1, interval) @ f for v, f, interval in zip(axes, self.factors, self.domain)]
        return Tucker(self.core, tuple(bases)).orthogonalized()

    def to_cp(self, tol: float = 1e-12) -> CP:
        """Return the coefficients as a CP tensor of at most r_1 r_2 terms, ranks sorted (`cp_rank` tells)."""
        return arithmetic.to_cp(self.coefficients, tol)
