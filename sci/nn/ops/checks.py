"""Checks of the arguments of ops: what NumPy would refuse in its own words, or take and get wrong."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from sci.backend import Array
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = [
    "broadcast",
    "normalized_axes",
    "normalized_axis",
    "require_entries",
    "require_real",
    "require_single_or_double",
]


def require_single_or_double(x: Array, name: str) -> None:
    """Raise DTypeError unless `x` is float32 or float64 in the byte order of the machine."""
    dtype = x.dtype
    if dtype == "float32" or dtype == "float64":
        return
    fix = "; convert its byte order by x.astype(x.dtype.newbyteorder('='))" if not dtype.isnative else ""
    raise DTypeError(f"{name} of dtype {dtype}; expected float32 or float64{fix}")


def require_real(name: str, *arrays: Any) -> None:
    """Raise DTypeError for complex arrays, which have no order."""
    for array in arrays:
        if getattr(getattr(array, "dtype", None), "kind", "") == "c" or type(array) is complex:
            raise DTypeError(f"{name} of complex numbers, which have no order; expected real ones")


def require_entries(x: Array, name: str) -> None:
    """Raise ShapeError if `x` has no entries."""
    if x.size == 0:
        raise ShapeError(f"{name} of an array of shape {tuple(x.shape)}; expected one entry or more")


def broadcast(name: str, operation: Callable[[Any, Any], Array], a: Any, b: Any) -> Array:
    """Return operation(a, b), or raise ShapeError if the shapes do not broadcast."""
    try:
        return operation(a, b)
    except ValueError as error:
        shapes = [tuple(getattr(x, "shape", ())) for x in (a, b)]
        raise ShapeError(
            f"{name} of shapes {shapes[0]} and {shapes[1]}; expected lengths that are equal, or 1, along each axis, "
            "counted from the last"
        ) from error


def normalized_axis(axis: Any, ndim: int, name: str) -> int:
    """Return an axis, counted from the end if negative, as a number from 0 to ndim - 1.

    Raises
    ------
    InvalidValueError
    """
    try:
        k = operator.index(axis)
    except TypeError as error:
        raise InvalidValueError(f"{name}: axis {axis!r}; expected an integer") from error
    if not -ndim <= k < ndim:
        raise InvalidValueError(f"{name}: axis {k} of an array of {ndim} axes; expected {-ndim} to {ndim - 1}")
    return k % ndim


def normalized_axes(axis: Any, ndim: int, name: str) -> tuple[int, ...]:
    """Return one axis, several, or all (None) as numbers from 0 to ndim - 1.

    Raises
    ------
    InvalidValueError
        Also for an axis that is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(normalized_axis(k, ndim, name) for k in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(axes)) != len(axes):
        raise InvalidValueError(f"{name}: axes {axis} name an axis twice")
    return axes
