"""Compress a field by several codecs within a bound, and keep the smallest result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.compression.coding.bytes import floats, varint
from sci.compression.coding.integers import pack_integers
from sci.compression.fields.bounds import Bound, l2_norm, measure
from sci.compression.fields.decode import EXPONENT_SHIFT, decode_field
from sci.compression.fields.field import BoundKind, CompressedField, check_tolerance
from sci.compression.fields.header import METHODS, Header, Method
from sci.compression.fields.lossless import pack_constant, pack_lossless
from sci.compression.fields.quantized import single
from sci.compression.fields.transform import TransformEncoder
from sci.compression.fields.tucker import TuckerEncoder
from sci.compression.fields.wavelet import WaveletEncoder
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["compress"]

_STEPS = (2.0, 2.8, 4.0, 5.6, 8.0)
"""Steps of coefficients over the bound of each point, of which the best is taken."""

_FIRST_STEP = {"tucker": 2, "transform": 2, "wavelet": 1}
_LONGEST_BASIS = 2048
_TRIALS = 6


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

    Coefficients in a basis that suits the field are quantized, and coded by a range coder with the magnitudes of
    neighbors as contexts. Each method of `methods` is tried, and the smallest result is kept. For a bound of the
    maximum, what the method leaves at each point is quantized and coded too. A field that no method makes small within
    the bound is stored without loss.

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
    methods : sequence of {"tucker", "transform", "wavelet"}
        What is tried: the Tucker format, the separable cosine or Hartley transform, and the wavelet 9/7.
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
    task = _Task.of(field, tol, bound, relative, axes)
    return task.result(_best(task, tuple(dict.fromkeys(methods))))


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


@dataclass(frozen=True)
class _Task:
    """A field with its largest magnitude between 1/2 and 1, and the bound in its units."""

    field: np.ndarray
    scaled: np.ndarray
    exponent: int
    bound: Bound
    request: tuple[float, BoundKind, bool]
    l2_norm: float
    value_range: float
    periodic: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<compression of {self.field.shape} within {self.bound}>"

    @classmethod
    def of(cls, field: np.ndarray, tol: float, bound: BoundKind, relative: bool, periodic: tuple[int, ...]) -> _Task:
        field = np.ascontiguousarray(field)
        low, high = float(field.min()), float(field.max())
        exponent = int(np.frexp(max(high, -low))[1])
        scaled = np.ldexp(field, -exponent)
        norm = l2_norm(scaled)
        extent = float(np.ldexp(high, -exponent)) - float(np.ldexp(low, -exponent))
        unit = norm if bound == "l2" else extent
        with np.errstate(over="ignore"):
            limit = tol * unit if relative else float(np.ldexp(tol, -exponent))
            norm, extent = float(np.ldexp(norm, exponent)), float(np.ldexp(extent, exponent))
        if not (np.isfinite(norm) and np.isfinite(extent)):
            raise InvalidValueError(
                f"field has values of {max(high, -low):.3g}, so that its L2 norm exceeds float64; scale it down"
            )
        goal = Bound(bound, min(limit, 2.0**100), field.size, field.dtype)
        return cls(field, scaled, exponent, goal, (float(tol), bound, bool(relative)), norm, extent, periodic)

    @property
    def work(self) -> np.ndarray:
        """The scaled field in the dtype of the work."""
        return self.scaled.astype(np.float64 if self.bound.accurate else np.float32, copy=False)

    @property
    def header(self) -> Header:
        """Of a field that no method has taken yet."""
        return Header(self.field.shape, self.field.dtype.name, "lossless", self.bound.accurate, False, self.periodic)

    def pack(self, method: str, payload: bytes, rest: bool) -> np.ndarray:
        """Return header and payload."""
        exponent = varint(self.exponent + EXPONENT_SHIFT)
        return replace(self.header, method=method, rest=rest).pack(exponent + payload)

    def measured(self, data: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the decoded field, scaled, and its errors."""
        with np.errstate(all="ignore"):
            found = np.ldexp(decode_field(data), -self.exponent)
        return found, measure(self.scaled, found)

    def result(self, data: np.ndarray) -> CompressedField:
        """Return the compressed field with its errors in the units of the field."""
        header, errors = Header.read(data)[0], self.measured(data)[1]
        l2, top = (float(np.ldexp(e, self.exponent)) for e in (errors.l2, errors.maximum))
        numbers = (*self.request, l2, top, self.l2_norm, self.value_range)
        return CompressedField(header.shape, header.dtype, header.method, data, *numbers)


def _best(task: _Task, methods: tuple[str, ...]) -> np.ndarray:
    field = task.field
    if bool((field == field.flat[0]).all()):
        return replace(task.header, method="constant", accurate=False, periodic=()).pack(pack_constant(field))
    found = None
    if task.bound.goal > 0:
        search = _within_l2 if task.bound.kind == "l2" else _within_maximum
        found = search(task, _encoders(task, methods))
    if found is not None and found.size < field.nbytes / 2:
        return found
    plain = replace(task.header, accurate=False, periodic=()).pack(pack_lossless(field))
    return plain if found is None or plain.size <= found.size else found


def _encoders(task: _Task, methods: tuple[str, ...]) -> dict[str, Any]:
    """Return the methods to try; long axes have no Tucker format, whose bases would take a matrix of their square."""
    work, goal = task.work, task.bound.goal
    least = 2 * goal / (0.6 * np.sqrt(work.size)) if task.bound.kind == "l2" else 2.8 * goal
    make: dict[str, Callable[[], Any]] = {
        "tucker": lambda: TuckerEncoder(work, task.periodic, least),
        "transform": lambda: TransformEncoder(work, task.periodic),
        "wavelet": lambda: WaveletEncoder(work),
    }
    long = any(min(n, work.size // n) > _LONGEST_BASIS for n in work.shape)
    chosen = [name for name in methods if not (long and name == "tucker")] or ["transform"]
    return {name: make[name]() for name in chosen}


def _within_l2(task: _Task, encoders: dict[str, Any]) -> np.ndarray | None:
    """Return the smallest result within a bound of the L2 norm."""
    goal = task.bound.goal
    tried = {name: encoder.within(goal) for name, encoder in encoders.items()}
    name = min(tried, key=lambda name: len(tried[name].payload))
    found = tried[name]
    for _ in range(_TRIALS):
        data = task.pack(name, found.payload + varint(0), False)
        errors = task.measured(data)[1]
        if task.bound.holds(errors):
            return data
        if not np.isfinite(errors.l2):
            break
        goal *= 0.9995 * task.bound.goal / errors.l2
        found = encoders[name].within(goal)
    return None


def _within_maximum(task: _Task, encoders: dict[str, Any]) -> np.ndarray | None:
    """Return the smallest result within a bound of every point."""
    goal = single(task.bound.goal * (1 - 2.0**-22))
    best: tuple[str, bytes] | None = None
    for name, encoder in encoders.items():
        payload = _descend(partial(_with_rest, encoder, goal), _FIRST_STEP[name])
        best = (name, payload) if best is None or len(payload) < len(best[1]) else best
    return None if best is None else _with_exceptions(task, *best)


def _descend(payload_of: Callable[[float], bytes], first: int) -> bytes:
    """Return the shortest payload, tried from the first step on while they become shorter."""
    best = payload_of(_STEPS[first])
    for direction in (1, -1):
        k, improved = first + direction, False
        while 0 <= k < len(_STEPS):
            payload = payload_of(_STEPS[k])
            if len(payload) >= len(best):
                break
            best, k, improved = payload, k + direction, True
        if improved:
            break
    return best


def _with_rest(encoder: Any, goal: float, factor: float) -> bytes:
    """Return a payload and, behind it, what it leaves at each point."""
    tried = encoder.at(factor * goal)
    step = encoder.field.dtype.type(2 * goal)
    rest = np.rint((encoder.field - tried.approximation) / step)
    return bytes(tried.payload + pack_integers(rest.astype(np.int32)) + floats(2 * goal))


def _with_exceptions(task: _Task, name: str, payload: bytes) -> np.ndarray | None:
    """Store the points that rounding has taken beyond the bound as they are."""
    data = task.pack(name, payload + varint(0), True)
    found, errors = task.measured(data)
    if task.bound.holds(errors):
        return data
    with np.errstate(all="ignore"):
        fine = np.abs(task.scaled.astype(np.float64) - found) <= task.bound.goal
    places = np.flatnonzero(~fine)
    exact = task.field.ravel()[places].astype(task.field.dtype.newbyteorder("<")).tobytes()
    gaps = pack_integers(np.diff(places, prepend=0))
    data = task.pack(name, payload + varint(len(places)) + gaps + exact, True)
    return data if task.bound.holds(task.measured(data)[1]) else None
