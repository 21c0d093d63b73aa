"""The scalar quantizer of the library: uniform steps with a dead zone, and centroids in place of midpoints."""

from __future__ import annotations

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, is_device_array, namespace, to_host
from sci.errors import DTypeError, InvalidValueError
from sci.kernels import block_size, get_kernel, host_threads, launch, use_compiled

__all__ = ["dequantize", "quantize"]

LARGEST = 2.0**62
"""Magnitudes of quantized values lie below this."""

_DEVICE_SLOTS = 1024


@entry
def quantize(values: Real, step: float, *, rounding: float = 0.4) -> tuple[Array, tuple[float, float]]:
    """Round values to multiples of a step, more of them to zero than to the nearest.

    q = sign(v) floor(|v| / step + rounding): |v| < (1 - rounding) step becomes 0, which costs least to code. What
    |q| = 1 stands for is the mean of |v| / step there; larger ones share one shift, the mean of |v| / step - |q|.

    Parameters
    ----------
    values : array of float32 or float64
        Any shape, finite.
    step : float
        Over 0.
    rounding : float
        From 0 to 0.5, which rounds to the nearest.

    Returns
    -------
    q : array of int32, or of int64 where magnitudes reach 2^30
        In the shape of `values`.
    centroids : (float, float)
        The value of 1 in steps, and the shift of larger magnitudes: numbers of float32.

    Raises
    ------
    InvalidValueError
        If `step` or `rounding` is out of range, values are not finite, or |v| / step reaches 2^62.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import dequantize, quantize
    >>> q, centroids = quantize(np.array([0.2, -0.9, 1.3, 4.1]), 1.0)
    >>> q
    array([ 0, -1,  1,  4], dtype=int32)
    >>> dequantize(q, 1.0, centroids).round(2)
    array([ 0. , -1.1,  1.1,  4.1])
    """
    xp = namespace(values)
    if getattr(values, "dtype", None) not in (np.float32, np.float64):
        raise DTypeError(f"values has dtype {values.dtype}; expected float32 or float64: values.astype(float)")
    if not step > 0 or not np.isfinite(step):
        raise InvalidValueError(f"step is {step}; expected a number over 0")
    if not 0 <= rounding <= 0.5:
        raise InvalidValueError(f"rounding is {rounding}; expected 0 to 0.5")
    flat = xp.ascontiguousarray(values).ravel()
    largest = max(float(flat.max()), -float(flat.min())) / step if flat.size else 0.0
    if not largest < LARGEST:
        raise InvalidValueError(
            f"values reach {largest:.3g} steps; expected finite ones, below 2^62 steps of {step:.3g}"
        )
    q = xp.empty(flat.shape, np.int32 if largest < 2**30 - 1 else np.int64)
    return q.reshape(values.shape), _centroids(quantized_sums(flat, step, rounding, q, True))


def _centroids(sums: np.ndarray) -> tuple[float, float]:
    """Return the mean of |v| where it became 1, and the mean of |v| - |q| where it became more."""
    first = sums[2] / sums[1] if sums[1] else 1.0
    return float(np.float32(first)), float(np.float32(sums[5] / sums[4] if sums[4] else 0.0))


def quantized_sums(values: Array, step: float, rounding: float, q: Array, write: bool) -> np.ndarray:
    """Return seven sums over quantized values, and put these into `q`, or use the dtype of `q` alone.

    With s = |v| / step and m its quantized magnitude: the sum of s^2 where m = 0; number and sums of s and s^2
    where m = 1; number and sums of s - m and (s - m)^2 where m > 1.
    """
    xp = namespace(values)
    kernel = get_kernel("coding/quantize.cu", "quantize_values", values.dtype, q.dtype, write)
    if not use_compiled(kernel, values):
        return quantized_sums_reference(values, step, rounding, q, write)
    block = block_size(values)
    slots = max(1, min(_DEVICE_SLOTS if is_device_array(values) else 4 * host_threads(), len(values) // (32 * block)))
    sums = xp.empty((slots, 7, block), np.float64)
    launch(kernel, slots, values, q, sums, len(values), step, rounding, slots, block)
    return np.asarray(to_host(sums).sum(axis=(0, 2)))


def quantized_sums_reference(values: Array, step: float, rounding: float, q: Array, write: bool) -> np.ndarray:
    """Reference of the kernel `quantize_values`."""
    xp = namespace(values)
    size = xp.abs(values) / values.dtype.type(step)
    magnitude = (size + values.dtype.type(rounding)).astype(q.dtype)
    if write:
        q[...] = xp.where(values < 0, -magnitude, magnitude)
    zeros, ones = size[magnitude == 0].astype(float), size[magnitude == 1].astype(float)
    more = (size - magnitude.astype(values.dtype))[magnitude > 1].astype(float)
    numbers = [(zeros * zeros).sum(), len(ones), ones.sum(), (ones * ones).sum()]
    return np.array([float(x) for x in (*numbers, len(more), more.sum(), (more * more).sum())])


@entry
def dequantize(q: Real, step: float, centroids: tuple[float, float] = (1.0, 0.0), *, dtype: str = "float64") -> Array:
    """Return the values that quantized ones stand for.

    Parameters
    ----------
    q : array of int32 or int64
        From `quantize`.
    step : float
        That of `quantize`.
    centroids : (float, float)
        Those that `quantize` found; without them multiples of the step.
    dtype : {"float64", "float32"}
        Of the result.

    Returns
    -------
    array of `dtype`
        In the shape of `q`.

    Raises
    ------
    DTypeError
        If `q` is no array of integers.
    InvalidValueError
        If `step`, a centroid or `dtype` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import dequantize
    >>> dequantize(np.array([0, -1, 3]), 0.5)
    array([ 0. , -0.5,  1.5])
    """
    xp = namespace(q)
    if getattr(q, "dtype", np.dtype(object)).kind not in "iu":
        raise DTypeError(f"q has dtype {q.dtype}; expected integers, as quantize returns them")
    if not step > 0 or not np.isfinite(step):
        raise InvalidValueError(f"step is {step}; expected a number over 0")
    if dtype not in ("float32", "float64"):
        raise InvalidValueError(f"dtype is {dtype!r}; expected 'float64' or 'float32'")
    first, shift = centroids
    if not (np.isfinite(first) and np.isfinite(shift)):
        raise InvalidValueError(f"centroids is {centroids}; expected two finite numbers")
    q = q if q.dtype in (np.int32, np.int64) else q.astype(np.int64)
    out = xp.empty(q.shape, dtype)
    kernel = get_kernel("coding/quantize.cu", "dequantize_values", out.dtype, q.dtype)
    if use_compiled(kernel, q):
        slots = _DEVICE_SLOTS if is_device_array(q) else host_threads()
        flat = xp.ascontiguousarray(q).ravel()
        launch(kernel, slots, flat, out.reshape(-1), flat.size, step, float(first), float(shift), slots)
        return out
    out[...] = q
    kept = xp.flatnonzero(q)
    flat = q.ravel()[kept]
    size = xp.where(xp.abs(flat) == 1, first, xp.abs(flat) + shift) * step
    out.ravel()[kept] = xp.where(flat < 0, -size, size).astype(dtype)
    return out
