"""What a codec leaves of a field at each point, rounded: `coding/rest.cu`."""

from __future__ import annotations

import numpy as np

from sci.kernels import get_kernel, host_threads, launch, use_compiled

__all__ = ["add_rest", "squared_errors", "take_rest"]

FILE = "coding/rest.cu"
_BLOCK = 1 << 15


def take_rest(field: np.ndarray, found: np.ndarray, step: float) -> np.ndarray:
    """Return (field - found) / step as int32, rounded, and add its multiples of the step to `found`.

    Both are C-contiguous, of one shape and dtype, float32 or float64.
    """
    q = np.empty(field.shape, np.int32)
    kernel = get_kernel(FILE, "take_rest", field.dtype)
    if use_compiled(kernel, field):
        launch(kernel, host_threads(), field.ravel(), found.reshape(-1), q.reshape(-1), field.size, step)
        return q
    miss = (field - found) * field.dtype.type(1 / step)
    q[...] = np.trunc(miss + np.where(miss < 0, -0.5, 0.5).astype(field.dtype))
    add_rest(found, q, step)
    return q


def add_rest(found: np.ndarray, q: np.ndarray, step: float) -> None:
    """Add integers times a step, in float64, to an array that is C-contiguous."""
    kernel = get_kernel(FILE, "add_rest", found.dtype, q.dtype)
    if use_compiled(kernel, found):
        launch(kernel, host_threads(), np.ascontiguousarray(q).ravel(), found.reshape(-1), found.size, step)
        return
    found[...] = found.astype(np.float64) + q * np.float64(step)


def squared_errors(field: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Return the largest magnitude of field - found, and the sum of squares, which is not finite if a value is not."""
    a, b = np.ascontiguousarray(field).ravel(), np.ascontiguousarray(found).ravel()
    kernel = get_kernel(FILE, "measure_errors", a.dtype)
    if a.dtype == b.dtype and use_compiled(kernel, a):
        errors = np.zeros((host_threads(), 2))
        launch(kernel, len(errors), a, b, errors, a.size, len(errors))
        return float(errors[:, 0].max()), float(errors[:, 1].sum())
    energy, top = 0.0, 0.0
    for start in range(0, a.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        miss = a[part].astype(np.float64) - b[part]
        energy += float(np.dot(miss, miss))
        top = max(top, float(np.abs(miss).max()))
    return top, energy
