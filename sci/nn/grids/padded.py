"""Grids with their margins in one array, in which a tap is an offset whatever the stride."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.backend.lines import aligned
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = ["Padded", "fold_margins", "pad_grid", "pad_grid_reference", "pad_window", "wrapped"]

Triple = tuple[int, ...]
"""One number for each of three axes."""


@dataclass(frozen=True)
class Padded:
    """Channels on padded grids of three axes, each cut into phases of a stride.

    Entry (b, c, phase, j) is the padded cell `j stride + phase`; the phases of the three axes count as one axis.

    Parameters
    ----------
    data : (size,) array
        The entries, and zeros behind them for one run of cells of a kernel.
    shape : tuple of int
        (batch, channels, phases, *lengths).
    phases : (int, int, int)
        The phases of each axis.
    """

    data: Array
    shape: tuple[int, ...]
    phases: Triple

    @property
    def array(self) -> Array:
        """The entries in their shape."""
        return self.data[: math.prod(self.shape)].reshape(self.shape)

    @property
    def channel(self) -> int:
        """Entries of a channel."""
        return math.prod(self.shape[2:])

    def offsets(self, cells: np.ndarray, phases: np.ndarray) -> np.ndarray:
        """Return the distance in `data` to the entries `cells` (taps, 3) of the phases (taps, 3) of a channel."""
        _, b, c = self.phases
        _, l1, l2 = lengths = self.shape[3:]
        phase = (phases[:, 0] * b + phases[:, 1]) * c + phases[:, 2]
        return np.asarray(phase * math.prod(lengths) + (cells[:, 0] * l1 + cells[:, 1]) * l2 + cells[:, 2], np.int64)


def wrapped(x: Array, before: tuple[int, ...], after: tuple[int, ...]) -> Array:
    """Return (batch, channels, *grid) with margins that repeat the grid."""
    xp = namespace(x)
    for axis, (a, b) in enumerate(zip(before, after), 2):
        if a or b:
            x = x.take(xp.arange(-a, x.shape[axis] + b) % x.shape[axis], axis=axis)
    return x


def fold_margins(x: Array, before: tuple[int, ...], grid: tuple[int, ...]) -> Array:
    """Return the adjoint of `wrapped`: each cell of the grid with the margins that repeat it added up."""
    for axis, (a, n) in enumerate(zip(before, grid), 2):
        if x.shape[axis] == n:
            continue
        lead = (slice(None),) * axis
        out = x[(*lead, slice(a, a + n))].copy()
        for start in range(a % n - n, x.shape[axis], n):
            low, high = max(start, 0), min(start + n, x.shape[axis])
            if start != a and low < high:
                out[(*lead, slice(low - start, high - start))] += x[(*lead, slice(low, high))]
        x = out
    return x


def pad_grid(
    x: Array,
    low: Triple,
    lengths: Triple,
    stride: Triple = (1, 1, 1),
    phases: Triple = (1, 1, 1),
    periodic: bool = False,
    pointwise: bool = False,
) -> Padded:
    """Return `x` (batch, channels, n0, n1, n2) with `low` cells before it, cut at or filled up to `lengths`.

    Parameters
    ----------
    x : array
    low : (int, int, int)
        Cells before the grid; cells of the grid that are left out, if negative.
    lengths : (int, int, int)
        Of a phase.
    stride, phases : (int, int, int)
        Cells between the entries of a phase, and how many phases there are.
    periodic : bool
        The cells around the grid repeat it; else they are zeros.
    pointwise : bool
        Each output reads its own cell alone, so that no run of whole cells reads beyond the last.
    """
    shape = (*x.shape[:2], math.prod(phases), *lengths)
    same = (low, lengths, stride) == ((0, 0, 0), x.shape[2:], (1, 1, 1))
    if pointwise and same and math.prod(lengths) % block_size(x) == 0:
        return Padded(namespace(x).ascontiguousarray(x).reshape(x.size), shape, phases)
    size, room = math.prod(shape), max(block_size(x), 64 // x.dtype.itemsize)
    data = aligned((size + room,), x)
    data[size:] = 0
    target = data[:size].reshape(x.shape[0] * x.shape[1], *phases, *lengths)
    kernel = get_kernel("nn/convolution.cu", "pad_phases", x.dtype)
    if use_compiled(kernel, x):
        given = namespace(x).ascontiguousarray(x).reshape(target.shape[0], *x.shape[2:])
        sizes = (*phases, *lengths, *stride, *low, int(periodic))
        launch(kernel, math.prod(target.shape[:5]), given, target, *given.shape, *sizes)
    else:
        pad_grid_reference(x, target, low, stride, periodic)
    return Padded(data, shape, phases)


def pad_grid_reference(x: Array, target: Array, low: Triple, stride: Triple, periodic: bool) -> None:
    """Reference of the kernel `pad_phases`: set `target` (images, *phases, *lengths), one phase after the other."""
    phases, lengths = target.shape[1:4], target.shape[4:]
    if periodic:
        ends = [(m - 1) * s + p - b - n for m, s, p, b, n in zip(lengths, stride, phases, low, x.shape[2:])]
        x, low = wrapped(x, low, tuple(max(e, 0) for e in ends)), (0, 0, 0)
    x = x.reshape(target.shape[0], *x.shape[2:])
    target[...] = 0
    for p in itertools.product(*map(range, phases)):
        into, from_ = zip(*(_meeting(*each) for each in zip(p, low, lengths, stride, x.shape[1:])))
        target[(slice(None), *p, *into)] = x[(slice(None), *from_)]


def _meeting(phase: int, low: int, length: int, stride: int, n: int) -> tuple[slice, slice]:
    """Return the entries j of a phase that have a cell `j stride + phase - low` in 0 ... n - 1, and those cells."""
    first = max(0, -((phase - low) // stride))
    last = max(first, min(length, (n - 1 + low - phase) // stride + 1))
    start = first * stride + phase - low
    return slice(first, last), slice(start, start + (last - first) * stride, stride)


def pad_window(x: Array, window: Any, periodic: bool) -> tuple[Padded, np.ndarray]:
    """Return `x` (batch, channels, n0, n1, n2) padded for a window of three axes, and the offsets of its taps."""
    taps = np.array(list(itertools.product(*map(range, window.taps))), np.int64) * np.array(window.dilation)
    cells, phases = np.divmod(taps, np.array(window.stride))
    lengths = tuple(m + int(c) for m, c in zip(window.out, cells.max(axis=0)))
    padded = pad_grid(
        *(x, window.before, lengths, window.stride, tuple(int(p) + 1 for p in phases.max(axis=0)), periodic),
        pointwise=not cells.any(),
    )
    return padded, padded.offsets(cells, phases)
