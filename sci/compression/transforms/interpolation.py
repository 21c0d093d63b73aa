"""Prediction of a field on ever finer grids by interpolation, in integers: `coding/interpolation.cu`."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from sci.kernels import get_kernel, host_threads, launch, use_compiled

__all__ = ["decode_levels", "encode_levels", "levels_of"]

FILE = "coding/interpolation.cu"
_AXES = 4
_ALONE = 3
"""Levels from this on have few points: one thread does all of them."""

_NARROW = {1: 2**25, 2: 2**24, 3: 2**24, 4: 2**23}
"""Int32 holds magnitudes below these times the sum of all weights, 32 for each axis."""

_WEIGHTS = {
    7: (9, 9, -1, -1),
    3: (12, 6, -2, 0),
    5: (6, 12, 0, -2),
    1: (8, 8, 0, 0),
    2: (24, 0, -8, 0),
    6: (24, 0, -8, 0),
}
"""Sixteenths of the neighbors at -1, 1, -3 and 3 strides, by which of the last three are inside (bits 1, 2 and 4)."""


def levels_of(shape: tuple[int, ...]) -> int:
    """Return the number of grids of a field: their strides are 2^0, 2^1, ..., the last of which keeps one point."""
    return (max(shape) - 1).bit_length() + 1


def encode_levels(
    field: np.ndarray,
    scale: float,
    steps: np.ndarray,
    rounding: float,
    out: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Quantize what interpolation from coarser grids misses.

    Parameters
    ----------
    field : array of float32 or float64
        Up to four axes.
    scale : float
        Values times it are told by integers.
    steps : (levels,) array of int64
        For each stride, from 1 on.
    rounding : float
        Of magnitudes, in steps, before their floor.
    out : (array, array), optional
        q and x of a call before, to be overwritten if their dtype still fits.

    Returns
    -------
    q, x : arrays of integers
        Int32 where magnitudes allow it. q lies as wavelet coefficients do; x stands for `field` times `scale`.
    top, square : float
        The largest magnitude of scale field - x, and the sum of squares.
    """
    largest = max(float(field.max()), -float(field.min())) * scale + float(steps.max())
    dtype = np.dtype(np.int32 if largest < _NARROW[field.ndim] else np.int64)
    q, x = out if out and out[0].dtype == dtype else (np.empty(field.shape, dtype), np.empty(field.shape, dtype))
    kernel = get_kernel(FILE, "encode_stages", field.dtype, dtype)
    if not use_compiled(kernel, field):
        return _encode_reference(field, scale, steps, rounding, q, x)
    errors = np.zeros((host_threads(), 2))
    sides, flat = _sides(field.shape), np.ascontiguousarray(field).ravel()
    scratch = np.empty((len(errors), field.shape[-1]), dtype)
    for grid, stages in _launches(field.shape, len(errors)):
        numbers = (*sides, len(stages), len(steps), *scratch.shape, scale, rounding)
        launch(kernel, grid, flat, x.ravel(), q.ravel(), stages, steps, scratch, errors, *numbers)
    return q, x, float(errors[:, 0].max()), float(errors[:, 1].sum())


def decode_levels(q: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return x of `encode_levels` from its q and steps: integers, the same on every machine."""
    x = np.empty(q.shape, q.dtype)
    kernel = get_kernel(FILE, "decode_stages", q.dtype)
    if not use_compiled(kernel, q):
        return _decode_reference(q, steps, x)
    scratch, flat = np.empty((host_threads(), q.shape[-1]), q.dtype), np.ascontiguousarray(q).ravel()
    for grid, stages in _launches(q.shape, len(scratch)):
        numbers = (*_sides(q.shape), len(stages), len(steps), *scratch.shape)
        launch(kernel, grid, flat, x.ravel(), stages, steps, scratch, *numbers)
    return x


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*(1,) * (_AXES - len(shape)), *shape)


@functools.lru_cache(maxsize=256)
def _stages(shape: tuple[int, ...]) -> np.ndarray:
    """Return level and mask of all stages, in their order: bit 3 - k of a mask is axis k of four."""
    sides, top = _sides(shape), levels_of(shape) - 1
    masks = sorted(range(1, 1 << _AXES), key=lambda mask: (mask.bit_count(), mask))
    inside = [
        (level, mask)
        for level in range(top - 1, -1, -1)
        for mask in masks
        if all(1 << level < n for k, n in enumerate(sides) if mask >> (_AXES - 1 - k) & 1)
    ]
    return np.array([(top, 0), *inside], np.int64)


def _launches(shape: tuple[int, ...], threads: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield blocks and stages of launches: a stage that blocks share waits for those before it."""
    stages = _stages(shape)
    first = len(stages) if threads == 1 else int((stages[:, 0] >= _ALONE).sum())
    if first:
        yield 1, np.ascontiguousarray(stages[:first])
    for k in range(first, len(stages)):
        yield threads, np.ascontiguousarray(stages[k : k + 1])


def _encode_reference(
    field: np.ndarray, scale: float, steps: np.ndarray, rounding: float, q: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Reference of the kernel `encode_stages`."""
    values, top, square = field.astype(np.float64) * scale, 0.0, 0.0
    for level, mask in _stages(field.shape).tolist():
        points, places = _stage(field.shape, 1 << level, mask)
        predicted = _predicted(x, 1 << level, mask)
        miss = values[points] - predicted
        q[places] = np.sign(miss) * np.floor(np.abs(miss) * (1.0 / float(steps[level])) + rounding)
        x[points] = predicted + q[places] * steps[level]
        left = np.abs(values[points] - x[points])
        top, square = max(top, float(left.max())), square + float(np.square(left).sum())
    return q, x, top, square


def _decode_reference(q: np.ndarray, steps: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Reference of the kernel `decode_stages`."""
    for level, mask in _stages(q.shape).tolist():
        points, places = _stage(q.shape, 1 << level, mask)
        x[points] = _predicted(x, 1 << level, mask) + q[places] * steps[level]
    return x


def _odd(mask: int, ndim: int) -> list[bool]:
    return [bool(mask >> (ndim - 1 - k) & 1) for k in range(ndim)]


def _stage(shape: tuple[int, ...], s: int, mask: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the points of a stage in the field and in q."""
    points, places = [], []
    for n, odd in zip(shape, _odd(mask, len(shape))):
        points.append(slice(s if odd else 0, None, 2 * s))
        first, count = (-(-n // s) + 1) // 2 if odd else 0, len(range(s if odd else 0, n, 2 * s))
        places.append(slice(first, first + count))
    return tuple(points), tuple(places)


def _predicted(x: np.ndarray, s: int, mask: int) -> np.ndarray:
    """Return the predictions of a stage from the points before it."""
    points = _stage(x.shape, s, mask)[0]
    axes = [axis for axis, odd in enumerate(_odd(mask, x.ndim)) if odd]
    total = np.zeros(x[points].shape, np.int64)
    for axis in axes:
        place = np.arange(s, x.shape[axis], 2 * s)
        inside = [place + s < x.shape[axis], place >= 3 * s, place + 3 * s < x.shape[axis]]
        kinds = sum(flag.astype(int) << bit for bit, flag in enumerate(inside))
        weights = np.array([_WEIGHTS.get(int(kind), (16, 0, 0, 0)) for kind in kinds])
        for column, by in enumerate((-s, s, -3 * s, 3 * s)):
            at = np.where(weights[:, column] != 0, place + by, place - s)
            rows = np.take(x[tuple(slice(None) if k == axis else p for k, p in enumerate(points))], at, axis)
            total += weights[:, column].reshape(-1, *(1,) * (x.ndim - 1 - axis)) * rows.astype(np.int64)
    if not axes:
        return total
    count = len(axes)
    return np.asarray(np.sign(total) * ((np.abs(total) + 8 * count) // (16 * count)))
