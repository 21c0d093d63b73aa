"""The biorthogonal wavelet 9/7 in several levels: low and high frequencies along each axis, then those of the lows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import block_size, get_kernel, host_threads, launch, use_compiled

__all__ = ["LEVELS", "forward", "inverse"]

LEVELS = 6
_FILE = "coding/wavelet.cu"
_DEVICE_SLOTS = 4096
_LIFTS = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)
_NORM = 1.230174104914001 / np.sqrt(2)


def forward(x: Array, levels: int = LEVELS) -> Array:
    """Return the coefficients of an array of up to four axes, in float32 or float64.

    The lows of the last level come first along each axis, then its highs, then those of the level before. Lows are
    scaled by sqrt(2) / K and highs by K / sqrt(2), K = 1.230174, so that the transform is near to orthonormal.
    """
    out = namespace(x).array(x, copy=True, order="C")
    for box, axis in _passes(out.shape, levels):
        lift_axis(out, box, axis, False)
    return out


def inverse(c: Array, levels: int = LEVELS) -> Array:
    """Return the array whose coefficients `forward` returns."""
    out = namespace(c).array(c, copy=True, order="C")
    for box, axis in reversed(list(_passes(out.shape, levels))):
        lift_axis(out, box, axis, True)
    return out


def _passes(shape: tuple[int, ...], levels: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield the box and the axis of each pass."""
    box = shape
    for _ in range(levels):
        yield from ((box, axis) for axis, n in enumerate(box) if n > 1)
        box = tuple(-(-n // 2) for n in box)


def lift_axis(x: Array, box: tuple[int, ...], axis: int, inverse: bool) -> None:
    """Transform, in place, the first `box` points of each axis of a C-contiguous array along one axis, or back."""
    kernel = get_kernel(_FILE, "lift_axis", x.dtype, inverse)
    if not use_compiled(kernel, x):
        lift_axis_reference(x, box, axis, inverse)
        return
    steps = [stride // x.itemsize for stride in x.strides]
    others = [(1, 0)] * (4 - x.ndim) + [(box[k], steps[k]) for k in range(x.ndim) if k != axis]
    block = block_size(x)
    blocks = others[0][0] * others[1][0] * -(-others[2][0] // block)
    slots = min(blocks, host_threads() if isinstance(x, np.ndarray) else _DEVICE_SLOTS)
    scratch = namespace(x).empty((slots, box[axis] * block), x.dtype)
    numbers = [number for pair in others for number in pair]
    launch(kernel, slots, x.ravel(), scratch, box[axis], steps[axis], *numbers, slots, box[axis] * block)


def lift_axis_reference(x: Array, box: tuple[int, ...], axis: int, inverse: bool) -> None:
    """Reference of the kernel `lift_axis`, by slices."""
    xp = namespace(x)
    inside = xp.moveaxis(x[tuple(slice(n) for n in box)], axis, 0)
    n = len(inside)
    half = (n + 1) // 2
    lines = xp.empty_like(inside)
    lines[0::2], lines[1::2] = (
        (inside[:half] * _NORM, inside[half:] / _NORM) if inverse else (inside[::2], inside[1::2])
    )
    for parity, factor in (
        ((0, -_LIFTS[3]), (1, -_LIFTS[2]), (0, -_LIFTS[1]), (1, -_LIFTS[0]))
        if inverse
        else ((1, _LIFTS[0]), (0, _LIFTS[1]), (1, _LIFTS[2]), (0, _LIFTS[3]))
    ):
        k = np.arange(parity, n, 2)
        left, right = np.abs(k - 1), np.where(k + 1 < n, k + 1, k - 1)
        lines[parity::2] += factor * (lines[left] + lines[right])
    if inverse:
        inside[...] = lines
    else:
        inside[:half], inside[half:] = lines[0::2] / _NORM, lines[1::2] * _NORM
