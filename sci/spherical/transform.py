"""The transform of real fields on the sphere to harmonics, and back, each with its derivative.

Along the circles an FFT; across them, for each order m, products with the Legendre functions of that order. These are
even or odd about the equator, so that the products are of half the circles, for degrees of even and odd l - m apart.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft

from sci.arguments import Real, entry
from sci.backend import Array, device_number, namespace, require_finite, to_device
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.spherical.grids import SphereGrid
from sci.spherical.legendre import check_counts, recurrence

__all__ = [
    "analysis",
    "analysis_vjp",
    "spherical_synthesis",
    "spherical_transform",
    "synthesis",
    "synthesis_vjp",
]

Tables = list[tuple[Array, Array]]


@entry
def spherical_transform(
    field: Real, grid: SphereGrid, *, degrees: int | None = None, orders: int | None = None, exact: bool = True
) -> Array:
    """Return the coefficients of a real field in spherical harmonics, a_lm = int f conj(Y_lm) over the sphere.

    Parameters
    ----------
    field : (..., n_lat, n_lon) float32 or float64 array
    grid : SphereGrid
    degrees, orders : int, optional
        Degrees 0 ... degrees - 1 and orders 0 ... orders - 1; as many as are exact unless given.
    exact : bool
        Refuse more than `grid.exact_degrees` or `grid.exact_orders`, whose coefficients would be wrong by what the sum
        over the circles does not integrate.

    Returns
    -------
    (..., degrees, orders) complex array
        Zero where m > l. Those of negative orders are (-1)^m conj(a_lm).

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Notes
    -----
    With L degrees and M orders on n circles of N points: an FFT of each circle and L M n real operations on complex
    numbers, n (L M - M^2 / 2) multiplications of them after half of the circles; L = M = n = 512 keeps 0.27 GB of
    Legendre functions, in a cache for the last few sizes. Harmonics are those of `scipy.special.sph_harm_y`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import SphereGrid, spherical_transform
    >>> grid = SphereGrid(4, 8)
    >>> field = np.cos(grid.colatitudes)[:, None] * np.ones(8)
    >>> spherical_transform(field, grid, degrees=3, orders=1).real.round(6).ravel() + 0
    array([0.      , 2.046653, 0.      ])
    """
    counts = _checked(grid, degrees, orders, exact)
    _require_field(field, grid)
    return _modes_last(analysis(field, grid, *counts))


@entry
def spherical_synthesis(coefficients: Array, grid: SphereGrid, *, exact: bool = True) -> Array:
    """Return the real field f = sum_lm a_lm Y_lm on a grid, over orders of both signs.

    Parameters
    ----------
    coefficients : (..., degrees, orders) complex array
        As of `spherical_transform`; entries with m > l and imaginary parts of order 0 do not count.
    grid : SphereGrid
    exact : bool
        Refuse orders from `grid.exact_orders` on, which points of the circles do not tell from smaller ones.

    Returns
    -------
    (..., n_lat, n_lon) float array

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import SphereGrid, spherical_synthesis, spherical_transform
    >>> grid = SphereGrid(16, 32)
    >>> a = np.tril(np.random.default_rng(0).normal(size=(16, 16))) + 0j
    >>> bool(np.abs(spherical_transform(spherical_synthesis(a, grid), grid) - a).max() < 1e-13)
    True
    """
    _require_coefficients(coefficients)
    degrees, orders = coefficients.shape[-2:]
    check_counts(degrees, orders)
    limit = grid.exact_orders if exact else grid.n_lon // 2 + 1
    if orders > limit:
        raise InvalidValueError(f"{orders} orders on circles of {grid.n_lon} points; expected at most {limit}")
    return synthesis(_modes_first(coefficients), grid)


def analysis(field: Array, grid: SphereGrid, degrees: int, orders: int) -> Array:
    """Return `spherical_transform` mode by mode, unchecked: (degrees, orders, ...)."""
    return _to_degrees(field, grid, degrees, orders, "weighted")


def synthesis(modes: Array, grid: SphereGrid) -> Array:
    """Return the field (..., n_lat, n_lon) of coefficients (degrees, orders, ...)."""
    return _to_circles(modes, grid, "plain")


def analysis_vjp(dmodes: Array, grid: SphereGrid) -> Array:
    """Return the gradient of the field of `analysis`: (..., n_lat, n_lon)."""
    weights = _column_weights(grid, dmodes)
    return _to_circles(dmodes / weights, grid, "weighted")


def synthesis_vjp(dfield: Array, grid: SphereGrid, degrees: int, orders: int) -> Array:
    """Return the gradient of the coefficients of `synthesis`: (degrees, orders, ...)."""
    out = _to_degrees(dfield, grid, degrees, orders, "plain")
    return out * _column_weights(grid, out)


def _to_degrees(field: Array, grid: SphereGrid, degrees: int, orders: int, kind: str) -> Array:
    """Return sum over circles j of table[m, l, j] sum_k field[j, k] exp(-i m phi_k): (degrees, orders, ...)."""
    xp, lead, real = namespace(field), field.shape[:-2], field.dtype
    flat = field.reshape(-1, *grid.shape)
    circles = _fft(field).rfft(flat, axis=-1)[..., :orders]
    z = xp.ascontiguousarray(circles.transpose(2, 1, 0)).view(real)
    half, south = (grid.n_lat + 1) // 2, z[:, ::-1]
    even, odd = z[:, :half] + south[:, :half], z[:, :half] - south[:, :half]
    if grid.n_lat % 2:
        even[:, -1] /= 2
    out = xp.zeros((degrees, orders, z.shape[2]), real)
    for m, (rows_even, rows_odd) in enumerate(_tables(grid, degrees, orders, kind, field)):
        out[m::2, m] = xp.matmul(rows_even, even[m])
        out[m + 1 :: 2, m] = xp.matmul(rows_odd, odd[m])
    return out.view(circles.dtype).reshape(degrees, orders, *lead)


def _to_circles(modes: Array, grid: SphereGrid, kind: str) -> Array:
    """Return the sum over modes of c Re(table[m, l, j] modes[l, m] exp(i m phi_k)), c from `_column_weights`."""
    xp, (degrees, orders), lead = namespace(modes), modes.shape[:2], modes.shape[2:]
    z = xp.ascontiguousarray(modes.reshape(degrees, orders, -1))
    z, half = z.view(z.real.dtype), (grid.n_lat + 1) // 2
    circles = xp.empty((orders, grid.n_lat, z.shape[2]), z.dtype)
    for m, (rows_even, rows_odd) in enumerate(_tables(grid, degrees, orders, kind, z)):
        even, odd = xp.matmul(rows_even.T, z[m::2, m]), xp.matmul(rows_odd.T, z[m + 1 :: 2, m])
        circles[m, :half] = even + odd
        circles[m, grid.n_lat - half :] = (even - odd)[::-1]
    spectrum = xp.ascontiguousarray(circles.view(modes.dtype).transpose(2, 1, 0))
    field = _fft(modes).irfft(spectrum, n=grid.n_lon, axis=-1, norm="forward")
    return field.reshape(*lead, *grid.shape)


def _column_weights(grid: SphereGrid, modes: Array) -> Array:
    """Return the times that an order counts in a real field: one for 0 and for half of the points, two otherwise.

    They broadcast against `modes` (degrees, orders, ...), of which they have the precision.
    """
    orders, real = modes.shape[1], modes.real.dtype
    weights = np.full((orders, *(1,) * (modes.ndim - 2)), 2, real)
    weights[0] = 1
    if 2 * (orders - 1) == grid.n_lon:
        weights[-1] = 1
    return namespace(modes).asarray(weights)


def _tables(grid: SphereGrid, degrees: int, orders: int, kind: str, like: Array) -> Tables:
    """Return for each order the Legendre functions of even and of odd l - m on the northern circles.

    "weighted" ones are times the area of a point.
    """
    xp = namespace(like)
    device = device_number(like)
    return _made(grid, degrees, orders, kind, np.dtype(like.dtype).name, xp, device)


@functools.lru_cache(maxsize=24)
def _made(grid: SphereGrid, degrees: int, orders: int, kind: str, dtype: str, xp: ModuleType, device: int) -> Tables:
    theta = grid.colatitudes[: (grid.n_lat + 1) // 2]
    weights = grid.weights[: len(theta)] if kind == "weighted" else np.ones(len(theta))
    found: Tables = []
    block = max(1, _BLOCK // (degrees * len(theta)))
    for first in range(0, orders, block):
        values = recurrence(theta, degrees, range(first, min(orders, first + block)))
        values *= weights
        for m, rows in enumerate(values, first):
            even, odd = (to_device(np.ascontiguousarray(rows[k::2], dtype), xp) for k in (m, m + 1))
            found.append((even, odd))
    return found


_BLOCK = 2**22
"""Legendre functions that are made at once: 32 MiB."""


def _fft(like: Array) -> Any:
    """Return the FFTs for an array: SciPy's keep float32 with every NumPy."""
    xp: ModuleType = namespace(like)
    return scipy.fft if xp is np else xp.fft


def _modes_last(modes: Array) -> Array:
    xp = namespace(modes)
    return xp.ascontiguousarray(xp.moveaxis(modes, (0, 1), (-2, -1)))


def _modes_first(coefficients: Array) -> Array:
    return namespace(coefficients).moveaxis(coefficients, (-2, -1), (0, 1))


def _checked(grid: SphereGrid, degrees: int | None, orders: int | None, exact: bool) -> tuple[int, int]:
    """Return the numbers of degrees and orders of a transform on a grid."""
    degrees = grid.exact_degrees if degrees is None else degrees
    orders = min(degrees, grid.exact_orders) if orders is None else orders
    check_counts(degrees, orders)
    limits = (grid.exact_degrees, grid.exact_orders) if exact else (grid.n_lat, grid.n_lon // 2 + 1)
    if degrees > limits[0] or orders > limits[1]:
        held = "gives exactly" if exact else "holds"
        raise InvalidValueError(
            f"{degrees} degrees and {orders} orders of {grid}, which {held} {limits[0]} and {limits[1]}; expected "
            "fewer, or a finer grid" + (", or exact=False" if exact else "")
        )
    return degrees, orders


def _require_field(field: Array, grid: SphereGrid) -> None:
    dtype = getattr(field, "dtype", None)
    if dtype not in (np.float32, np.float64):
        raise DTypeError(f"the field is {dtype or type(field).__name__}; expected an array of float32 or float64")
    if field.ndim < 2 or tuple(field.shape[-2:]) != grid.shape:
        raise ShapeError(f"the field has shape {tuple(field.shape)}; expected (..., {grid.n_lat}, {grid.n_lon})")
    require_finite(field, "the field")


def _require_coefficients(coefficients: Array) -> None:
    dtype = getattr(coefficients, "dtype", None)
    if dtype not in (np.complex64, np.complex128):
        raise DTypeError(
            f"the coefficients are {dtype or type(coefficients).__name__}; expected an array of complex64 or complex128"
        )
    if coefficients.ndim < 2:
        raise ShapeError(f"coefficients of shape {tuple(coefficients.shape)}; expected (..., degrees, orders)")
    require_finite(coefficients, "the coefficients")
