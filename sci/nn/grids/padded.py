"""Grids with their margins in one array, in which a tap is an offset whatever the stride."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import block_size

__all__ = ["Padded", "fold_margins", "pad_grid", "pad_window", "wrapped"]

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
        return self.data[: int(np.prod(self.shape))].reshape(self.shape)

    @property
    def channel(self) -> int:
        """Entries of a channel."""
        return int(np.prod(self.shape[2:]))

    def offsets(self, cells: np.ndarray, phases: np.ndarray) -> np.ndarray:
        """Return the distance in `data` to the entries `cells` (taps, 3) of the phases (taps, 3) of a channel."""
        _, b, c = self.phases
        _, l1, l2 = lengths = self.shape[3:]
        phase = (phases[:, 0] * b + phases[:, 1]) * c + phases[:, 2]
        return np.asarray(phase * int(np.prod(lengths)) + (cells[:, 0] * l1 + cells[:, 1]) * l2 + cells[:, 2], np.int64)


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


def pad_grid(x: Array, low: Triple, lengths: Triple, stride: Triple = (1, 1, 1), phases: Triple = (1, 1, 1)) -> Padded:
    """Return `x` (batch, channels, n0, n1, n2) on grids with `low` zeros before it, cut at or filled up to `lengths`.

    Notes
    -----
    One pass over the entries of `x` and of the result.
    """
    xp, (batch, channels) = namespace(x), x.shape[:2]
    shape = (batch, channels, int(np.prod(phases)), *lengths)
    size, room = int(np.prod(shape)), max(block_size(x), 64 // x.dtype.itemsize)
    whole = not any(low) and x.shape[2:] == lengths and stride == (1, 1, 1)
    data = xp.empty(size + room, x.dtype) if whole else xp.zeros(size + room, x.dtype)
    data[size:] = 0
    target = data[:size].reshape(batch, channels, *phases, *lengths)
    for p in itertools.product(*map(range, phases)):
        into, from_ = zip(*(_meeting(*each) for each in zip(p, low, lengths, stride, x.shape[2:])))
        target[(slice(None), slice(None), *p, *into)] = x[(slice(None), slice(None), *from_)]
    return Padded(data, shape, phases)


def _meeting(phase: int, low: int, length: int, stride: int, n: int) -> tuple[slice, slice]:
    """Return the entries j of a phase that have a cell `j stride + phase - low` in 0 ... n - 1, and those cells."""
    first = max(0, -((phase - low) // stride))
    last = max(first, min(length, (n - 1 + low - phase) // stride + 1))
    start = first * stride + phase - low
    return slice(first, last), slice(start, start + (last - first) * stride, stride)


def pad_window(x: Array, window: Any, periodic: bool) -> tuple[Padded, np.ndarray]:
    """Return `x` (batch, channels, n0, n1, n2) padded for a window of three axes, and the offsets of its taps."""
    before = window.before
    if periodic and (any(before) or any(window.after)):
        x, before = wrapped(x, before, window.after), (0, 0, 0)
    taps = np.array(list(itertools.product(*map(range, window.taps))), np.int64) * np.array(window.dilation)
    cells, phases = np.divmod(taps, np.array(window.stride))
    lengths = tuple(m + int(c) for m, c in zip(window.out, cells.max(axis=0)))
    padded = pad_grid(x, before, lengths, window.stride, tuple(int(p) + 1 for p in phases.max(axis=0)))
    return padded, padded.offsets(cells, phases)
