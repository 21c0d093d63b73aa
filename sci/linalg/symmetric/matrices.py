"""Batches of square matrices: checked on entry, in units of their own, and named by their index in errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, as_finite, is_device_array, namespace, to_host
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = [
    "as_beside",
    "as_square",
    "as_symmetric",
    "first_index",
    "flat",
    "named",
    "require_nonsingular",
    "require_positive",
    "require_representable",
    "symmetrized",
    "transposed",
    "units_of",
]

_ASYMMETRY = 4096
"""How far a matrix may be from its transpose, in units of the last place of its largest entry."""


def as_square(matrices: Any, name: str, *, unchecked: bool = False) -> Array:
    """Return a batch of square matrices as a contiguous array, float32 if it was, else float64.

    With `unchecked`, entries of an array of floats may be infinite or NaN.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    dtype = np.float32 if getattr(matrices, "dtype", None) == np.float32 else np.float64
    found = _contiguous(matrices, dtype) if unchecked else None
    found = as_finite(matrices, name, dtype=dtype) if found is None else found
    if found.ndim < 2 or found.shape[-1] != found.shape[-2] or found.shape[-1] == 0:
        raise ShapeError(f"{name} has shape {tuple(found.shape)}; expected square matrices (..., n, n), n at least 1")
    return found


def _contiguous(array: Any, dtype: Any) -> Array | None:
    """Return an array that is of the dtype already, its entries unread; None for everything else."""
    if getattr(array, "dtype", None) == dtype and (isinstance(array, np.ndarray) or is_device_array(array)):
        return namespace(array).ascontiguousarray(array)
    return None


def as_symmetric(matrices: Any, name: str) -> Array:
    """Return a batch of symmetric matrices: the mean with the transpose, from which they differ by rounding alone.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    found = as_square(matrices, name)
    xp, turned = namespace(found), transposed(found)
    if bool((found == turned).all()):
        return found
    unlike = abs(found * 0.5 - turned * 0.5).max(axis=(-2, -1)) * 2
    size = abs(found).max(axis=(-2, -1))
    bad = unlike > _ASYMMETRY * xp.finfo(found.dtype).eps * size
    if bool(bad.any()):
        where = first_index(bad)
        raise InvalidValueError(
            f"{name}: {named(where)} is not symmetric: it differs from its transpose by "
            f"{float(unlike[where]):.3g}, and its largest entry is {float(size[where]):.3g}; expected symmetric "
            "matrices: pass the mean of each matrix and its transpose, if that is what you mean"
        )
    return symmetrized(found)


def as_beside(array: Any, name: str, like: Array, *, unchecked: bool = False) -> Array:
    """Return an array of the shape, dtype and device of `like`; with `unchecked` as `as_square`.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
    """
    dtype = getattr(array, "dtype", None)
    if dtype is not None and dtype.kind == "f" and dtype != like.dtype:
        raise DTypeError(f"{name} is {dtype} and the matrices are {like.dtype}; convert one of them")
    xp = namespace(array, like)
    found = _contiguous(array, like.dtype) if unchecked and getattr(array, "shape", None) == like.shape else None
    return found if found is not None else as_finite(array, name, shape=like.shape, dtype=like.dtype, xp=xp)


def flat(matrices: Array) -> Array:
    """Return a batch (count, n, n) without other axes, contiguous."""
    return namespace(matrices).ascontiguousarray(matrices).reshape(-1, *matrices.shape[-2:])


def transposed(matrices: Array) -> Array:
    """Return the transpose of each matrix, as a view."""
    return matrices.swapaxes(-2, -1)


def symmetrized(matrices: Array) -> Array:
    """Return the mean of each matrix and its transpose."""
    return matrices * 0.5 + transposed(matrices) * 0.5


def units_of(numbers: Array, axes: int) -> Array:
    """Return powers of two near the largest magnitude over the last axes, which are kept; 1 for zeros."""
    xp = namespace(numbers)
    last = tuple(range(-axes, 0))
    most = 120 if numbers.dtype == np.float32 else 1000
    _, exponent = xp.frexp(abs(numbers).max(axis=last, keepdims=True))
    return xp.ldexp(xp.ones(exponent.shape, numbers.dtype), xp.clip(exponent, -most, most))


def first_index(bad: Array) -> tuple[int, ...]:
    """Return the index of the first true entry."""
    return tuple(int(i) for i in np.argwhere(to_host(bad))[0])


def named(where: tuple[int, ...]) -> str:
    """Return the words for a matrix of a batch in a message."""
    return f"matrix {where[0] if len(where) == 1 else where}" if where else "the matrix"


def require_positive(values: Array, what: str, *, definite: bool) -> None:
    """Refuse matrices with eigenvalues (..., n) that are not positive, or not above zero by more than rounding.

    Raises
    ------
    InvalidValueError
        Names the first such matrix and its smallest eigenvalue.
    """
    low, high = values.min(axis=-1), abs(values).max(axis=-1)
    rounding = float(np.finfo(values.dtype).eps) * values.shape[-1]
    bad = ~(low > rounding * high) if definite else ~(low >= -4 * rounding * high)
    if not bool(bad.any()):
        return
    where = first_index(bad)
    kind = "positive definite" if definite else "positive semidefinite"
    raise InvalidValueError(
        f"{what}: {named(where)} is not {kind} beyond rounding: its smallest eigenvalue is "
        f"{float(low[where]):.6g}, the largest magnitude {float(high[where]):.6g}; expected "
        + (f"eigenvalues above {rounding:.2g} of that: add a multiple of the identity" if definite else "none below 0")
    )


def require_nonsingular(sizes: Array, what: str, size: str, n: int) -> None:
    """Refuse matrices of order n that are singular to rounding, by the magnitudes (..., k) of what is divided by.

    Raises
    ------
    InvalidValueError
    """
    low, high = sizes.min(axis=-1), sizes.max(axis=-1)
    rounding = float(np.finfo(sizes.dtype).eps) * n
    bad = ~(low > rounding * high)
    if bool(bad.any()):
        where = first_index(bad)
        raise InvalidValueError(
            f"{what}: {named(where)} is singular to rounding: {size} is {float(low[where]):.6g}, the largest "
            f"{float(high[where]):.6g}; expected more than {rounding:.2g} of that"
        )


def require_representable(result: Array, what: str, values: Array) -> None:
    """Refuse results (..., n, n), of matrices with eigenvalues (..., n), that the dtype cannot hold.

    Raises
    ------
    InvalidValueError
        Names the first such matrix and its extreme eigenvalues.
    """
    bad = ~namespace(result).isfinite(result).all(axis=(-2, -1))
    if bool(bad.any()):
        where = first_index(bad)
        low, high = float(values[where].min()), float(values[where].max())
        raise InvalidValueError(
            f"{what} overflows {result.dtype} for {named(where)}, whose spectrum lies from {low:.6g} to "
            f"{high:.6g}; expected a result within {float(np.finfo(result.dtype).max):.2g}: choose another unit"
        )
