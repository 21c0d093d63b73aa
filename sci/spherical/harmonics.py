"""Real spherical harmonics of directions or vectors, with gradients, without angles: poles are points like others."""

from __future__ import annotations

import functools
import math
from types import ModuleType
from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, device_number, namespace, require_finite, to_device, to_host
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = [
    "MAX_DEGREE",
    "checked_harmonics",
    "degrees_of",
    "harmonics",
    "harmonics_gradient",
    "harmonics_vjp",
    "ladder_matrices",
    "rows_of",
    "spherical_harmonics",
    "spherical_harmonics_gradient",
]

MAX_DEGREE = 64
"""Highest degree: within it float32 holds every factor of a harmonic, and errors of float64 stay under 2e-12."""
_FILE = "spherical/harmonics.cu"


@entry
def spherical_harmonics(vectors: Real, degree: int, *, solid: bool = False) -> Array:
    """Return the real spherical harmonics Y_lm of the directions of vectors, for all degrees l up to `degree`.

    Y_lm = sqrt(2) N_lm P_l^m(cos theta) cos(m phi) for m > 0, with sin(|m| phi) and P_l^|m| for m < 0, and N_l0 P_l
    for m = 0, where N_lm^2 = (2 l + 1) / (4 pi) (l - |m|)! / (l + |m|)! and P has no sign (-1)^m. They are
    orthonormal on the sphere. The three of degree 1 are sqrt(3 / (4 pi)) (y, z, x) / r.

    Parameters
    ----------
    vectors : (..., 3) array
        Of any length but 0: a vector of length 0 has no direction, and is refused unless `solid`.
    degree : int
        Highest degree, 0 to 64.
    solid : bool
        Return the solid harmonics r^l Y_lm, which are polynomials of the components, and 0 at 0 for l > 0.

    Returns
    -------
    (..., (degree + 1)^2) array
        Y_lm at place l^2 + l + m, m from -l to l; float32 for vectors of float32, otherwise float64.

    Raises
    ------
    InvalidValueError
        For a vector that is 0 or has components all below 1e6 times the smallest normal number, NaN, a degree out of
        range, and solid harmonics that leave the dtype.
    ShapeError, DTypeError

    Notes
    -----
    One kernel, one vector a thread: 6 flops a value; errors near the poles, where they are
    largest, 3e-13 in float64 and 2e-4 in float32 at degree 32, 1e-14 at degree 8.

    References
    ----------
    Drautz, Phys. Rev. B 102, 024104 (2020), and Bigi et al., J. Chem. Phys. 159, 064802 (2023): harmonics as products
    of polynomials in z and r^2 with powers of x + i y. The recurrences are those of normalized functions here.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import spherical_harmonics
    >>> y = spherical_harmonics(np.array([[0.0, 0.0, 2.0]]), 2)
    >>> (y * np.sqrt(4 * np.pi)).round(6) + 0
    array([[1.      , 0.      , 1.732051, 0.      , 0.      , 0.      ,
            2.236068, 0.      , 0.      ]])
    """
    flat, lead = rows_of(vectors, degree)
    return checked_harmonics(flat, degree, solid)[0].reshape(*lead, (degree + 1) ** 2)


@entry
def spherical_harmonics_gradient(vectors: Real, degree: int, *, solid: bool = False) -> tuple[Array, Array]:
    """Return the real spherical harmonics of vectors, and their gradients by the components of the vectors.

    Parameters
    ----------
    vectors : (..., 3) array
    degree : int
    solid : bool
        As in `spherical_harmonics`.

    Returns
    -------
    values : (..., (degree + 1)^2) array
    gradients : (..., 3, (degree + 1)^2) array
        The derivative by x, y and z; that of a direction is perpendicular to the vector and falls as 1 / r.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        As `spherical_harmonics`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import spherical_harmonics_gradient
    >>> values, gradients = spherical_harmonics_gradient(np.array([0.0, 0.0, 2.0]), 1)
    >>> (gradients * np.sqrt(4 * np.pi / 3)).round(6) + 0
    array([[0. , 0. , 0. , 0.5],
           [0. , 0.5, 0. , 0. ],
           [0. , 0. , 0. , 0. ]])
    """
    flat, lead = rows_of(vectors, degree)
    values, gradients = checked_harmonics(flat, degree, solid, gradient=True)
    return values.reshape(*lead, (degree + 1) ** 2), gradients.reshape(*lead, 3, values.shape[1])


def rows_of(vectors: Array, degree: int) -> tuple[Array, tuple[int, ...]]:
    """Return vectors as rows (n, 3) in C order, and their leading axes, or raise an error for shape or degree."""
    if not 0 <= degree <= MAX_DEGREE:
        raise InvalidValueError(f"degree is {degree}; expected 0 to {MAX_DEGREE}")
    shape, dtype = tuple(getattr(vectors, "shape", ())), getattr(vectors, "dtype", None)
    if not shape or shape[-1] != 3:
        raise ShapeError(f"vectors have shape {shape}; expected (..., 3): x, y and z on the last axis")
    if getattr(dtype, "kind", "") not in "biuf":
        raise DTypeError(f"vectors have dtype {dtype}; expected real numbers")
    target = np.float32 if dtype == np.float32 else np.float64
    flat = vectors.astype(target, copy=False).reshape(math.prod(shape[:-1]), 3)
    return namespace(vectors).ascontiguousarray(flat), shape[:-1]


def checked_harmonics(vectors: Array, degree: int, solid: bool, *, gradient: bool = False) -> tuple[Array, Any]:
    """Return harmonics of rows (n, 3), and their gradients, or raise an error for the first vector that is wrong.

    Raises
    ------
    InvalidValueError
    """
    kernel = get_kernel(_FILE, "harmonics", vectors.dtype, gradient)
    if not use_compiled(kernel, vectors):
        _require_range(vectors, degree, solid)
        return harmonics_reference(vectors, _terms_like(vectors, degree), degree, solid, gradient=gradient)
    values, gradients, faults = _launched(vectors, degree, solid, gradient)
    xp = namespace(vectors)
    if not bool(xp.isfinite(faults).all()):
        _require_range(vectors, degree, solid)
    return values, gradients


def _limit(dtype: Any, degree: int, solid: bool) -> float:
    """Return the component above which a vector has a direction, or below which solid harmonics stay in a dtype."""
    limits = np.finfo(dtype)
    if not solid:
        return float(1e6 * limits.tiny)
    # |Y_lm| <= sqrt((2 l + 1) / (4 pi)), and a gradient has l more.
    most = float(limits.max) / (8 * (degree + 1) ** 2)
    return float(np.nextafter(most ** (1 / max(degree, 1)) / math.sqrt(3), 0, dtype=dtype))


def _require_range(flat: Array, degree: int, solid: bool) -> None:
    """Raise an error that names the first vector that is wrong."""
    if not len(flat):
        return
    require_finite(flat, "vectors")
    largest, limit = namespace(flat).abs(flat).max(axis=1), _limit(flat.dtype, degree, solid)
    wrong = largest >= limit if solid else largest <= limit
    if not bool(wrong.any()):
        return
    first = int(np.flatnonzero(to_host(wrong))[0])
    vector = to_host(flat[first]).tolist()
    if solid:
        raise InvalidValueError(
            f"vector {first} is {vector}, whose harmonics of degree {degree} leave {flat.dtype}; expected vectors in a "
            "larger unit, or solid=False"
        )
    raise InvalidValueError(
        f"vector {first} is {vector}, which has no direction; expected none of length 0 (leave such pairs out), or "
        "solid=True"
    )


def harmonics(vectors: Array, degree: int, solid: bool) -> Array:
    """Return `spherical_harmonics` of rows (n, 3), unchecked: (n, (degree + 1)^2)."""
    return _unchecked(vectors, degree, solid, False)[0]


def harmonics_gradient(vectors: Array, degree: int, solid: bool) -> tuple[Array, Array]:
    """Return `spherical_harmonics_gradient` of rows (n, 3), unchecked: (n, width) and (n, 3, width)."""
    values, gradients = _unchecked(vectors, degree, solid, True)
    return values, gradients


def _unchecked(vectors: Array, degree: int, solid: bool, gradient: bool) -> tuple[Array, Any]:
    if not use_compiled(get_kernel(_FILE, "harmonics", vectors.dtype, gradient), vectors):
        return harmonics_reference(vectors, _terms_like(vectors, degree), degree, solid, gradient=gradient)
    return _launched(vectors, degree, solid, gradient)[:2]


def _launched(vectors: Array, degree: int, solid: bool, gradient: bool) -> tuple[Array, Array, Array]:
    """Return values, gradients (none of them unless asked for) and faults of the kernel."""
    xp, (n, _), width = namespace(vectors), vectors.shape, (degree + 1) ** 2
    out, faults = xp.empty((n, width), vectors.dtype), xp.empty(n, vectors.dtype)
    gradients = xp.empty((n if gradient else 0, 3, width), vectors.dtype)
    kernel = get_kernel(_FILE, "harmonics", vectors.dtype, gradient)
    numbers = (n, width, degree, int(solid), _limit(vectors.dtype, degree, solid))
    launch(kernel, _blocks(vectors), vectors, _terms_like(vectors, degree), out, gradients, faults, *numbers)
    return out, gradients, faults


def harmonics_vjp(vectors: Array, dvalues: Array, degree: int, solid: bool) -> Array:
    """Return the gradient (n, 3) by the vectors of a loss whose gradient by the harmonics is (n, (degree + 1)^2)."""
    xp, n = namespace(vectors, dvalues), len(vectors)
    kernel = get_kernel(_FILE, "harmonics_vjp", vectors.dtype)
    terms = _terms_like(vectors, degree)
    if not use_compiled(kernel, vectors):
        gradients = harmonics_reference(vectors, terms, degree, solid, gradient=True)[1]
        return xp.einsum("nkw,nw->nk", gradients, dvalues)
    out = xp.empty_like(vectors)
    launch(kernel, _blocks(vectors), vectors, terms, xp.ascontiguousarray(dvalues), out, n, (degree + 1) ** 2, degree,
           int(solid))  # fmt: skip
    return out


def _blocks(vectors: Array) -> int:
    return -(-len(vectors) // block_size(vectors))


def harmonics_reference(
    vectors: Array, terms: Array, degree: int, solid: bool, *, gradient: bool = False
) -> tuple[Array, Any]:
    """Return values and gradients by array calls, also of complex vectors: the steps of derivatives in tests."""
    xp, n, width = namespace(vectors), len(vectors), (degree + 1) ** 2
    inverse = xp.ones_like(vectors[:, 0])
    if not solid:
        largest = xp.abs(vectors).max(axis=1)
        unit = 1 / xp.where((largest > 1e-15) & (largest < 1e15), xp.ones_like(largest), largest)
        scaled = vectors * unit[:, None]
        inverse = unit / xp.sqrt((scaled * scaled).sum(axis=1))
        vectors = scaled * (inverse / unit)[:, None]
    x, y, z = vectors.T
    square = (vectors * vectors).sum(axis=1) if solid else xp.ones_like(x)
    values = xp.empty((n, width), vectors.dtype)
    slopes = xp.empty((n, 3, width), vectors.dtype) if gradient else None
    zero = xp.zeros_like(x)
    c, s, c_before, s_before = xp.ones_like(x), zero, zero, zero
    for m in range(degree + 1):
        if m:
            c, s, c_before, s_before = x * c - y * s, x * s + y * c, c, s
        f, f_before, h, h_before = xp.full_like(x, terms[m * (m + 1) // 2 + m, 0]), zero, zero, zero
        for ell in range(m, degree + 1):
            a, b, g = terms[ell * (ell + 1) // 2 + m]
            if ell > m:
                h, h_before = a * z * h - b * (square * h_before + 2 * f_before), h
                f, f_before = a * z * f - b * square * f_before, f
            for place, p, px, py in (
                (ell * ell + ell - m, s, s_before, c_before),
                (ell * ell + ell + m, c, c_before, -s_before),
            ):
                values[:, place] = f * p
                if slopes is not None:
                    along = 0 if solid else ell * f * p
                    slopes[:, 0, place] = (m * f * px + x * (p * h - along)) * inverse
                    slopes[:, 1, place] = (m * f * py + y * (p * h - along)) * inverse
                    slopes[:, 2, place] = (g * f_before * p - z * along) * inverse
    return values, slopes


def _terms_like(vectors: Array, degree: int) -> Array:
    """Return the coefficients of the recurrence on the side and in the precision of an array."""
    return _made_terms(degree, np.dtype(vectors.dtype).name, namespace(vectors), device_number(vectors))


@functools.lru_cache(maxsize=64)
def _made_terms(degree: int, dtype: str, xp: ModuleType, device: int) -> Array:
    return to_device(_terms(degree).astype(dtype), xp)


def _terms(degree: int) -> np.ndarray:
    """Return (a, b, g) of F_l = a z F_{l-1} - b r^2 F_{l-2} and dF_l/dz = g F_{l-1}, in row l (l + 1) / 2 + m.

    Where l = m, F_mm stands in place of a, with the factor sqrt(2) of the orders above 0.
    """
    found = np.zeros(((degree + 1) * (degree + 2) // 2, 3))
    first = math.sqrt(1 / (4 * math.pi))
    for m in range(degree + 1):
        if m:
            first *= math.sqrt((2 * m + 1) / (2 * m) * (2 if m == 1 else 1))
        found[m * (m + 1) // 2 + m, 0] = first
        for ell in range(m + 1, degree + 1):
            gap = ell * ell - m * m
            a = math.sqrt((4 * ell * ell - 1) / gap)
            b = math.sqrt((2 * ell + 1) * ((ell - 1) ** 2 - m * m) / ((2 * ell - 3) * gap)) if ell > m + 1 else 0.0
            found[ell * (ell + 1) // 2 + m] = a, b, math.sqrt((2 * ell + 1) * gap / (2 * ell - 1))
    return found


def degrees_of(degree: int) -> np.ndarray:
    """Return the degree l of each of the (degree + 1)^2 places."""
    return np.repeat(np.arange(degree + 1), 2 * np.arange(degree + 1) + 1)


@functools.lru_cache(maxsize=64)
def ladder_matrices(degree: int) -> np.ndarray:
    """Return D (3, width, width) with d(r^l Y_lm)/dx_k = sum over j of D[k, (l, m), j] (r^l' Y_l'm')_j, l' = l - 1.

    The derivative of a solid harmonic by z keeps the order, those by x and y change it by one.
    """
    width = (degree + 1) ** 2
    found = np.zeros((3, width, width))
    for ell in range(1, degree + 1):
        at, below = ell * ell + ell, (ell - 1) * ell
        for m in range(ell + 1):
            keeps = math.sqrt((2 * ell + 1) * (ell * ell - m * m) / (2 * ell - 1))
            up = math.sqrt((2 * ell + 1) * (ell - m) * (ell - m - 1) / (2 * ell - 1)) / (2 if m else math.sqrt(2))
            down = math.sqrt((2 * ell + 1) * (ell + m) * (ell + m - 1) / (2 * ell - 1)) / (2 if m > 1 else math.sqrt(2))
            if m < ell:
                found[2, at + m, below + m] = found[2, at - m, below - m] = keeps
            if m + 1 < ell:
                found[0, at + m, below + m + 1] -= up
                found[1, at + m, below - m - 1] -= up
                if m:
                    found[0, at - m, below - m - 1] -= up
                    found[1, at - m, below + m + 1] += up
            if m:
                found[0, at + m, below + m - 1] += down
                found[1, at - m, below + m - 1] += down
            if m > 1:
                found[0, at - m, below - m + 1] += down
                found[1, at + m, below - m + 1] -= down
    found.setflags(write=False)
    return found
