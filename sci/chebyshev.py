"""Chebyshev polynomials in one dimension: nodes, transforms, evaluation, calculus, and the degree that is needed.

A function on [a, b] is stored as the coefficients c_k of f(x) = sum_k c_k T_k(u), u = (2 x - a - b) / (b - a).
"""

from __future__ import annotations

import functools
import math
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from scipy.special import ive

from sci.backend import Array, Device, as_finite, is_device_array, namespace, namespace_of
from sci.errors import InvalidValueError, ShapeError
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = [
    "Interval",
    "as_interval",
    "chop",
    "coefficients_to_values",
    "differentiate",
    "differentiation_matrix",
    "evaluate",
    "gaussian_degree",
    "gram_matrix",
    "moments",
    "nodes",
    "to_unit",
    "values_to_coefficients",
    "vandermonde",
]

Interval: TypeAlias = tuple[float, float]

MATRIX_DEGREE = 256
"""Up to this degree a transform is one product with a cached matrix: faster than FFTs of short lines."""


def as_interval(domain: Any, name: str = "domain") -> Interval:
    """Return `domain` as two finite floats a < b.

    Parameters
    ----------
    domain : pair of numbers
        To be checked.
    name : str
        How an error names it.

    Returns
    -------
    Interval

    Raises
    ------
    InvalidValueError
        If it is anything else.
    """
    try:
        a, b = (float(value) for value in domain)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{name} is {domain!r}; expected two numbers (a, b) with a < b") from error
    if not (math.isfinite(a) and math.isfinite(b) and a < b):
        raise InvalidValueError(f"{name} is ({a}, {b}); expected finite numbers a < b")
    return a, b


def _as_degree(degree: int) -> int:
    if not isinstance(degree, int | np.integer) or degree < 0:
        raise InvalidValueError(f"degree is {degree!r}; expected an integer of at least 0")
    return int(degree)


def _real(array: Array, name: str) -> Array:
    """Return a finite real array; float32 stays, everything else becomes float64."""
    single = getattr(array, "dtype", None) == np.float32
    return as_finite(array, name, dtype=np.float32 if single else np.float64)


def _along(array: Array, axis: int, name: str) -> Array:
    """Return `array` with `axis` moved to the front; refuse an empty or missing axis."""
    if not -array.ndim <= axis < array.ndim or array.shape[axis] == 0:
        raise ShapeError(f"{name} has shape {tuple(array.shape)}; expected at least one entry along axis {axis}")
    return namespace(array).moveaxis(array, axis, 0)


def to_unit(x: Array, domain: Interval) -> Array:
    """Map x from [a, b] to u = (2 x - a - b) / (b - a) in [-1, 1].

    Parameters
    ----------
    x : array
        Points of the interval.
    domain : (float, float)
        Ends of the interval, ascending.

    Returns
    -------
    array
        In [-1, 1] for places of the domain; the shape of `x`, real.
    """
    a, b = domain
    return (x - 0.5 * (a + b)) * (2.0 / (b - a))


def nodes(degree: int, domain: Interval = (-1.0, 1.0), *, device: Device = "cpu") -> Array:
    """Return the Lobatto points x_j = (a + b)/2 - (b - a)/2 cos(pi j / degree), ascending.

    Parameters
    ----------
    degree : int
        At least 0; degree 0 gives the midpoint.
    domain : (float, float)
    device : "cpu" or "cuda"

    Returns
    -------
    (degree + 1,) float64
        The end points are a and b exactly. The points of degree d are every second one of degree 2 d, bit by bit.
    """
    degree = _as_degree(degree)
    a, b = as_interval(domain)
    xp = namespace_of(device)
    if degree == 0:
        return xp.full(1, 0.5 * (a + b))
    # The sine of angles around zero is symmetric to the last bit, which the cosine of 0..pi is not.
    u = xp.sin((2.0 * xp.arange(degree + 1) - degree) * (math.pi / (2 * degree)))
    x = 0.5 * (a + b) + 0.5 * (b - a) * u
    x[0], x[-1] = a, b
    return x


@functools.lru_cache(maxsize=64)
def _transform_matrix(degree: int, inverse: bool) -> np.ndarray:
    """Return the matrix from coefficients to values (`inverse`), or back, for ascending Lobatto points."""
    k = np.arange(degree + 1)
    # T_k(x_j) = cos(pi k (degree - j) / degree). The integers are reduced and the sine taken of angles around zero,
    # which keeps the symmetries of the table exact: rounding then cancels in a transform instead of adding up.
    turns = np.outer(degree - k, k) % max(2 * degree, 1)
    turns = np.minimum(turns, 2 * degree - turns)
    table = np.sin((degree - 2 * turns) * (np.pi / (2 * degree))) if degree > 0 else np.ones((1, 1))
    if not inverse and degree > 0:
        weight = np.full(degree + 1, 1.0)
        weight[[0, -1]] = 0.5
        table = (2.0 / degree) * weight[:, None] * table.T * weight
    table.flags.writeable = False
    return table


def _even_fft(lines: Array, xp: ModuleType) -> Array:
    """Return sum'' of the even extension along axis 0: half its real FFT, by DCT-I."""
    extended = xp.concatenate([lines, lines[-2:0:-1]], axis=0)
    return xp.fft.rfft(extended, axis=0).real


def _transform(lines: Array, inverse: bool) -> Array:
    degree = lines.shape[0] - 1
    xp = namespace(lines)
    if degree <= MATRIX_DEGREE:
        matrix = xp.asarray(_transform_matrix(degree, inverse), dtype=lines.dtype)
        return xp.tensordot(matrix, lines, axes=(1, 0))
    if inverse:
        doubled = lines.copy()
        doubled[1:-1] *= 0.5
        return _even_fft(doubled, xp)[::-1].astype(lines.dtype, copy=False)
    coefficients = _even_fft(lines[::-1], xp) / degree
    coefficients[0] *= 0.5
    coefficients[-1] *= 0.5
    return coefficients.astype(lines.dtype, copy=False)


def values_to_coefficients(values: Array, axis: int = 0) -> Array:
    """Return the Chebyshev coefficients of the polynomial through values at `nodes` (DCT-I).

    c_k = (2 / m) w_k sum_j w_j f(x_j) T_k(x_j), with w = 1/2 at both ends, else 1, and m the degree.

    Parameters
    ----------
    values : array, real
        Values at `nodes(degree)` in ascending order along `axis`; the degree is the length minus one.
    axis : int

    Returns
    -------
    array of the same shape and dtype (float64 for integers)

    Notes
    -----
    Up to degree 256 one matrix product, m^2 per line; beyond, an FFT of the even extension, O(m log m) per line.
    """
    array = _real(values, "values")
    lines = _transform(_along(array, axis, "values"), inverse=False)
    xp = namespace(array)
    return xp.ascontiguousarray(xp.moveaxis(lines, 0, axis))


def coefficients_to_values(coefficients: Array, axis: int = 0) -> Array:
    """Return the values at `nodes` of a Chebyshev series: the inverse of `values_to_coefficients`.

    Parameters
    ----------
    coefficients : array
        Those of T_0, T_1, ... along `axis`.
    axis : int
        The axis along which it is done.

    Returns
    -------
    array
        Values along `axis`, of the shape and dtype of the coefficients (float64 for integers).
    """
    array = _real(coefficients, "coefficients")
    lines = _transform(_along(array, axis, "coefficients"), inverse=True)
    xp = namespace(array)
    return xp.ascontiguousarray(xp.moveaxis(lines, 0, axis))


def vandermonde(x: Array, degree: int, domain: Interval = (-1.0, 1.0)) -> Array:
    """Return the matrix T_k(u(x_i)), k = 0..degree, by the three-term recurrence.

    Parameters
    ----------
    x : (n,) real
        Points; float32 gives a float32 matrix.
    degree : int
    domain : (float, float)

    Returns
    -------
    (n, degree + 1) array
        A transposed view: each column is contiguous.

    Raises
    ------
    ShapeError

    Notes
    -----
    n degree multiply-adds. Rounding grows like degree near the middle and degree^2 near the ends of the domain,
    as the conditioning of T_k does.
    """
    degree = _as_degree(degree)
    points = _real(x, "x")
    if points.ndim != 1:
        raise ShapeError(f"x has shape {tuple(points.shape)}; expected (n,)")
    xp = namespace(points)
    u = to_unit(points, as_interval(domain))
    table = xp.empty((degree + 1, len(points)), dtype=points.dtype)
    if is_device_array(u):
        kernel = get_kernel("particles/places.cu", "chebyshev_table", points.dtype)
        if use_compiled(kernel, u):  # instead of three launches a degree
            launch(kernel, -(-len(u) // block_size(u)), xp.ascontiguousarray(u), table, len(u), degree + 1)
            return table.T
    table[0] = 1.0
    if degree > 0:
        table[1] = u
    twice = 2.0 * u
    for k in range(2, degree + 1):
        xp.multiply(twice, table[k - 1], out=table[k])
        table[k] -= table[k - 2]
    return table.T


def evaluate(coefficients: Array, x: Array, domain: Interval = (-1.0, 1.0)) -> Array:
    """Evaluate Chebyshev series at points by Clenshaw's recurrence.

    Parameters
    ----------
    coefficients : (degree + 1, ...) real
        Series along axis 0; further axes hold several series.
    x : (...) real
        Points of any shape, on the device of the coefficients.
    domain : (float, float)

    Returns
    -------
    array of shape x.shape + coefficients.shape[1:]
    """
    series = _along(_real(coefficients, "coefficients"), 0, "coefficients")
    points = _real(x, "x")
    xp = namespace(series, points)
    u = to_unit(points, as_interval(domain)).reshape(points.shape + (1,) * (series.ndim - 1))
    b1 = xp.zeros(points.shape + series.shape[1:], dtype=xp.result_type(series, points))
    b2 = xp.zeros_like(b1)
    for k in range(series.shape[0] - 1, 0, -1):
        b1, b2 = series[k] + 2.0 * u * b1 - b2, b1
    return series[0] + u * b1 - b2


def differentiate(coefficients: Array, axis: int = 0, domain: Interval = (-1.0, 1.0)) -> Array:
    """Return the coefficients of the derivative, of one degree less.

    c'_j = (2 / (b - a)) (2 - delta_j0) sum_{k > j, k - j odd} k c_k, as two reversed cumulative sums.

    Parameters
    ----------
    coefficients : array, real
        Series along `axis`.
    axis : int
    domain : (float, float)

    Returns
    -------
    array
        One entry less along `axis`, at least one; in units of the coefficients over those of the domain.
        Length max(degree, 1) along `axis`.
    """
    array = _real(coefficients, "coefficients")
    series = _along(array, axis, "coefficients")
    a, b = as_interval(domain)
    xp = namespace(array)
    degree = series.shape[0] - 1
    if degree == 0:
        return xp.zeros_like(array)
    k = xp.arange(degree + 1, dtype=array.dtype).reshape((-1,) + (1,) * (series.ndim - 1))
    terms = series * k * (4.0 / (b - a))
    result = xp.empty((degree, *series.shape[1:]), dtype=array.dtype)
    result[0::2] = xp.cumsum(terms[1::2][::-1], axis=0)[::-1]
    if degree > 1:
        result[1::2] = xp.cumsum(terms[2::2][::-1], axis=0)[::-1]
    result[0] *= 0.5
    return xp.ascontiguousarray(xp.moveaxis(result, 0, axis))


def differentiation_matrix(degree: int, domain: Interval = (-1.0, 1.0), *, device: Device = "cpu") -> Array:
    """Return the matrix D, (max(degree, 1), degree + 1), that takes coefficients to those of the derivative.

    Parameters
    ----------
    degree : int
        Highest degree of the series.
    domain : (float, float)
        Ends of the interval, ascending.
    device : "cpu" or "cuda"
        Where the result is made.

    Returns
    -------
    (max(degree, 1), degree + 1) float64 array
        On `device`; its units are one over those of the domain.
    """
    xp = namespace_of(device)
    return differentiate(xp.eye(_as_degree(degree) + 1), 0, domain)


def moments(degree: int, domain: Interval = (-1.0, 1.0), *, device: Device = "cpu") -> Array:
    """Return the integrals of T_0..T_degree over the domain: (b - a) / (1 - k^2) for even k, else 0.

    Parameters
    ----------
    degree : int
        Highest degree of the series.
    domain : (float, float)
        Ends of the interval, ascending.
    device : "cpu" or "cuda"
        Where the result is made.

    Returns
    -------
    (degree + 1,) float64 array
        On `device`, in units of the domain.
    """
    a, b = as_interval(domain)
    xp = namespace_of(device)
    result = xp.zeros(_as_degree(degree) + 1)
    even = xp.arange(0, degree + 1, 2, dtype=result.dtype)
    result[::2] = (b - a) / (1.0 - even * even)
    return result


def gram_matrix(
    degree: int, other_degree: int | None = None, domain: Interval = (-1.0, 1.0), *, device: Device = "cpu"
) -> Array:
    """Return the matrix of inner products: the integral of T_j T_k = (T_{j+k} + T_{|j-k|}) / 2 over the domain.

    Parameters
    ----------
    degree, other_degree : int
        Rows j = 0..degree and columns k = 0..other_degree (`degree` if None).
    domain : (float, float)
    device : "cpu" or "cuda"

    Returns
    -------
    (degree + 1, other_degree + 1) float64, exact up to rounding
    """
    columns = degree if other_degree is None else other_degree
    table = moments(_as_degree(degree) + _as_degree(columns), domain, device=device)
    xp = namespace(table)
    j, k = xp.arange(degree + 1)[:, None], xp.arange(columns + 1)[None, :]
    return 0.5 * (table[j + k] + table[xp.abs(j - k)])


def gaussian_degree(t: float, eps: float) -> int:
    """Return the degree that resolves exp(-t^2 (u - c)^2) on [-1, 1] for every center c in it.

    The smallest 2 K with sum_{k >= K} 2 I_k(t^2/2) exp(-t^2/2) < eps. For c = 0 the coefficient of T_2k has the
    size 2 I_k(t^2/2) exp(-t^2/2), so that one pair more is kept than the center needs; other centers use it.

    Parameters
    ----------
    t : float
        Square root of the exponent times the half width of the domain; at least 0.
    eps : float
        Largest error allowed, relative to the Gaussian's height 1; 0 < eps < 1.

    Returns
    -------
    int

    Raises
    ------
    InvalidValueError

    References
    ----------
    Exponential sums of Chebyshev coefficients through Bessel functions: Abramowitz and Stegun, eq. 9.6.34.
    """
    if not (math.isfinite(t) and t >= 0.0):
        raise InvalidValueError(f"t is {t}; expected a finite number of at least 0")
    if not 0.0 < eps < 1.0:
        raise InvalidValueError(f"eps is {eps}; expected a number between 0 and 1")
    digits = -math.log(eps)
    last = math.ceil(2.0 * t * math.sqrt(digits) + digits) + 40
    tails = np.cumsum(2.0 * ive(np.arange(last + 1), 0.5 * t * t)[::-1])[::-1]
    return 2 * int(np.argmax(tails < eps))


def chop(magnitudes: np.ndarray, tol: float) -> int | None:
    """Return the degree to which a Chebyshev series can be cut, or None where it is not resolved.

    With the envelope m_k = max_{j >= k} |c_j| / max |c|, the series is cut before the first k with m_k <= tol. It
    counts as resolved if at least k / 4 + 5 coefficients follow from there on: a shorter tail may be small by chance
    (parity, a zero of the spectrum) or by aliasing.

    Parameters
    ----------
    magnitudes : (degree + 1,) float64, on the host
        Absolute values of the coefficients, or norms of slices of a coefficient tensor.
    tol : float
        Relative tolerance, 0 < tol < 1.

    Returns
    -------
    int or None

    References
    ----------
    The length of the tail is that of J. L. Aurentz, L. N. Trefethen, Chopping a Chebyshev series, ACM Trans. Math.
    Softw. 43 (2017) 33. They also accept a plateau above tol; here noise above tol is unresolved, so that what is
    accepted keeps its tolerance.
    """
    envelope = np.maximum.accumulate(np.abs(magnitudes)[::-1])[::-1]
    if envelope[0] == 0.0:
        return 0
    kept = int(np.count_nonzero(envelope > tol * envelope[0]))
    return kept - 1 if kept + math.ceil(0.25 * kept + 5) <= len(envelope) else None
