"""Compress a field by several codecs within a bound, and keep the smallest result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sci.arguments import entry
from sci.compression.fields.bounds import Measured
from sci.compression.fields.codecs.lossless import pack_constant, pack_lossless
from sci.compression.fields.field import BoundKind, CompressedField, check_tolerance
from sci.compression.fields.header import METHODS, Method
from sci.compression.fields.search import within_l2, within_maximum
from sci.compression.fields.task import Task
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["compress"]


@entry
def compress(
    field: np.ndarray,
    tol: float,
    *,
    bound: BoundKind = "l2",
    relative: bool = True,
    methods: Sequence[Method] = METHODS,  # type: ignore[assignment]
    periodic: Sequence[int] = (),
) -> CompressedField:
    """Compress a field on a grid within a bound on its error, and measure the error at every point.

    Coefficients in a basis that suits the field, or what a prediction from coarser grids misses, are quantized, and
    coded by a range coder with the magnitudes of neighbors as contexts. The smallest result of `methods` is kept; those
    that a sample or an estimate shows to be clearly larger are not coded. For a bound of the maximum, what a basis
    leaves at each point is quantized and coded too. A field that no method makes small within the bound is stored
    without loss.

    Parameters
    ----------
    field : array of float32 or float64
        One to four axes. Values are finite.
    tol : float
        Over 0. The bound of the error, in parts of the L2 norm of the field (`bound="l2"`) or of its range, the largest
        value less the smallest (`bound="maximum"`).
    bound : {"l2", "maximum"}
        The root of the sum of squares of the error, or its largest magnitude.
    relative : bool
        False takes `tol` in the units of the field: as the L2 norm of the error, not divided by the number of points,
        or as its largest magnitude.
    methods : sequence of {"tucker", "transform", "wavelet", "interpolation"}
        What is tried: the Tucker format, the separable cosine or Hartley transform, the wavelet 9/7, and interpolation
        from coarser grids.
    periodic : sequence of int
        Axes along which the field repeats, the last point beside the first.

    Returns
    -------
    CompressedField

    Raises
    ------
    DTypeError, ShapeError
        If `field` has another dtype, no axis, more than four, or no points.
    InvalidValueError
        If a value is NaN or infinite, `tol` is not over 0, a method or an axis is unknown, or the L2 norm of the field
        exceeds the largest float64.

    Notes
    -----
    Results do not depend on units: a field times a power of two has the same bytes. Of a field with a large offset
    take the offset away first if its L2 norm should not count. Work and memory: some transforms of the field for each
    method, about ten copies of it.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import compress
    >>> x = np.linspace(0.0, 1.0, 32)
    >>> field = np.exp(-x[:, None] * x - x)
    >>> small = compress(field, 1e-3, bound="maximum")
    >>> bool(np.abs(small.decompress() - field).max() <= 1e-3 * np.ptp(field))
    True
    """
    check_tolerance(tol)
    _check_field(field)
    axes = _checked_axes(periodic, field.ndim)
    if not methods:
        raise InvalidValueError(f"methods is {methods!r}; expected at least one of {', '.join(METHODS)}")
    task = Task.of(field, tol, bound, relative, axes)
    return task.result(*_best(task, tuple(dict.fromkeys(methods))))


def _check_field(field: np.ndarray) -> None:
    if field.dtype not in (np.float32, np.float64):
        raise DTypeError(f"field has dtype {field.dtype}; expected float32 or float64: field.astype(numpy.float32)")
    if not 1 <= field.ndim <= 4 or field.size == 0:
        raise ShapeError(f"field has shape {field.shape}; expected one to four axes, and at least one point")
    low, high = float(field.min()), float(field.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(field))[0])
        raise InvalidValueError(f"field is NaN or infinite at index {where}; expected finite values")


def _checked_axes(periodic: Sequence[int], ndim: int) -> tuple[int, ...]:
    for axis in periodic:
        if not -ndim <= axis < ndim:
            raise InvalidValueError(f"periodic holds axis {axis}; expected axes of a field of {ndim}, 0 to {ndim - 1}")
    return tuple(sorted({int(axis) % ndim for axis in periodic}))


def _best(task: Task, methods: tuple[str, ...]) -> tuple[np.ndarray, Measured]:
    """Return the smallest bytes, and the errors of what they decode to."""
    field, exact = task.field, Measured(0.0, 0.0)
    if task.value_range == 0:
        return task.plain_header("constant").pack(pack_constant(field)), exact
    search = within_l2 if task.bound.kind == "l2" else within_maximum
    found = search(task, methods) if task.bound.exact_goal > 0 else None
    if found is not None and found[0].size < field.nbytes / 2:
        return found
    plain = task.plain_header("lossless").pack(pack_lossless(field))
    return (plain, exact) if found is None or plain.size <= found[0].size else found
