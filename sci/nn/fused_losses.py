"""The relative L2 loss on a device: two launches, and one for its derivative."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.backend.later import refuse_by
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = [
    "fuses",
    "refuse_zeros",
    "relative_loss",
    "relative_loss_reference",
    "relative_slope",
    "relative_slope_reference",
    "relative_sums",
    "relative_sums_reference",
]

_SOURCE = "nn/steps.cu"
_SPAN = 1024


def fuses(prediction: Array, target: Array) -> bool:
    """Return True for fields that the kernels take: float32 on a device, whose squares stay within double."""
    single = prediction.dtype == np.float32 and target.dtype == np.float32
    kernel = get_kernel(_SOURCE, "relative_sums", np.float32)
    return single and is_device_array(prediction) and use_compiled(kernel, prediction)


def _rows(field: Array) -> Array:
    shape = (math.prod(field.shape[:2]), math.prod(field.shape[2:]))
    return namespace(field).ascontiguousarray(field).reshape(shape)


def relative_sums(prediction: Array, target: Array) -> Array:
    """Return the sums of (p - y)^2 and y^2 over pieces of the rows (batch, channel): (rows, pieces, 2) float64."""
    kernel = get_kernel(_SOURCE, "relative_sums", np.float32)
    if not use_compiled(kernel, prediction):
        return relative_sums_reference(prediction, target)
    p, y = _rows(prediction), _rows(target)
    rows, n = p.shape
    sums = namespace(p).empty((rows, -(-n // _SPAN), 2), np.float64)
    launch(kernel, _blocks(sums.shape[0] * sums.shape[1], p), p, y, sums, rows, n, sums.shape[1])
    return sums


def relative_sums_reference(prediction: Array, target: Array) -> Array:
    """Reference of the kernel `relative_sums`, in array calls."""
    p, y = (_rows(a).astype(np.float64) for a in (prediction, target))
    starts = range(0, p.shape[1], _SPAN)
    parts = [((a * a)[:, k : k + _SPAN].sum(axis=1)) for k in starts for a in (p - y, y)]
    return namespace(p).stack(parts, axis=1).reshape(len(p), -1, 2)


def relative_loss(sums: Array, factor: float, zero: float | None) -> tuple[Array, Array, Array]:
    """Return factor sum_rows ||p - y|| / ||y||, the weights of p - y in its gradient, and which targets are zero.

    Parameters
    ----------
    sums : (rows, pieces, 2) float64
        From `relative_sums`.
    factor : float
    zero : float, optional
        Takes the place of ||y||^2 = 0, which then counts as no zero.

    Returns
    -------
    () float32, (rows,) float64, (rows,) int8
    """
    kernel = get_kernel(_SOURCE, "relative_loss", np.float32)
    if not use_compiled(kernel, sums):
        return relative_loss_reference(sums, factor, zero)
    xp, rows = namespace(sums), sums.shape[0]
    loss, weights, odd = xp.empty(1, np.float32), xp.empty(rows, np.float64), xp.empty(rows, np.int8)
    launch(kernel, 1, sums, loss, weights, odd, rows, sums.shape[1], 1, factor, -1.0 if zero is None else zero)
    return loss.reshape(()), weights, odd


def relative_loss_reference(sums: Array, factor: float, zero: float | None) -> tuple[Array, Array, Array]:
    """Reference of the kernel `relative_loss`, in array calls."""
    xp, (errors, scales) = namespace(sums), (sums.sum(axis=1)[:, k] for k in (0, 1))
    odd = (scales == 0) & (zero is None)
    scales = xp.sqrt(xp.where(scales == 0, math.nan if zero is None else zero, scales))
    size = xp.sqrt(errors)
    weights = xp.where(errors == 0, 0.0, factor / (xp.where(errors == 0, 1.0, size) * scales))
    return (size / scales).sum().astype(np.float32) * np.float32(factor), weights, odd.astype(np.int8)


def relative_slope(prediction: Array, target: Array, weights: Array, dout: Array) -> Array:
    """Return (p - y) weights dout, in the form of `prediction`."""
    kernel = get_kernel(_SOURCE, "relative_slope", np.float32)
    if not use_compiled(kernel, prediction):
        return relative_slope_reference(prediction, target, weights, dout)
    p, y = _rows(prediction), _rows(target)
    out = namespace(p).empty(p.shape, p.dtype)
    launch(kernel, -(-p.size // block_size(p)), p, y, weights, dout.reshape(1), out, *p.shape)
    return out.reshape(prediction.shape)


def relative_slope_reference(prediction: Array, target: Array, weights: Array, dout: Array) -> Array:
    """Reference of the kernel `relative_slope`, in array calls."""
    error = _rows(prediction).astype(np.float64) - _rows(target)
    return (error * (weights * dout)[:, None]).astype(prediction.dtype).reshape(prediction.shape)


def refuse_zeros(odd: Array, channels: int, refuse: Callable[[int, int], None]) -> None:
    """Call `refuse` with sample and channel of the first target that is zero everywhere, if there is one."""

    def check(found: np.ndarray) -> None:
        if found.any():
            refuse(*divmod(int(found.argmax()), channels))

    refuse_by(odd, check)


def _blocks(rows: int, like: Array) -> int:
    return -(-rows // (block_size(like) // 32 if is_device_array(like) else 16))
