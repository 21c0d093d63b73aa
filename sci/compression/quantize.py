"""The scalar quantizer of the library: uniform steps with a dead zone, and centroids in place of midpoints."""

from __future__ import annotations

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError

__all__ = ["dequantize", "quantize"]

LARGEST = 2.0**62
"""Magnitudes of quantized values lie below this."""


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
    with np.errstate(over="ignore", invalid="ignore"):
        size = xp.abs(values)
        size /= values.dtype.type(step)
    largest = float(size.max()) if size.size else 0.0
    if not largest < LARGEST:
        raise InvalidValueError(
            f"values reach {largest:.3g} steps; expected finite ones, below 2^62 steps of {step:.3g}"
        )
    dtype = np.int32 if largest < 2**30 - 1 else np.int64
    magnitude = (size + values.dtype.type(rounding)).astype(dtype)
    kept = xp.flatnonzero(magnitude)
    centroids = _centroids(size.ravel()[kept].astype(float), magnitude.ravel()[kept])
    return xp.where(values < 0, -magnitude, magnitude), centroids


def _centroids(size: Array, magnitude: Array) -> tuple[float, float]:
    """Return the mean of |v| where it became 1, and the mean of |v| - |q| where it became more."""
    one = magnitude == 1
    ones, more = int(one.sum()), int(one.size) - int(one.sum())
    first = float(size[one].mean()) if ones else 1.0
    shift = float((size[~one] - magnitude[~one]).mean()) if more else 0.0
    return float(np.float32(first)), float(np.float32(shift))


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
    out = q.astype(dtype)
    kept = xp.flatnonzero(q)
    flat = q.ravel()[kept]
    size = xp.where(xp.abs(flat) == 1, first, xp.abs(flat) + shift) * step
    out.ravel()[kept] = xp.where(flat < 0, -size, size).astype(dtype)
    return out
