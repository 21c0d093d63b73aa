"""The long range of isolated charges on a mesh: a convolution with B itself, on a grid of twice the points an axis."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import scipy.fft
from scipy.special import erf

from sci.backend import Array, namespace, to_device
from sci.kernels import host_threads
from sci.potentials.mesh.errors import MeshSplit
from sci.potentials.mesh.window import spline_transform

__all__ = ["doubled_influence", "isolated_grid", "isolated_influence", "isolated_values"]

BLEND, WIDE_BLEND, WIDE_SHAPE = 5, 8, 20.0
"""Points beyond the largest distance of two points with charge where B turns into its mirror image; more of them for
splits of a larger shape, whose errors are smaller."""
TURN = 0.38
"""Width of that turn over these points."""
SLAB = 1 << 15
"""Complex numbers that are transformed together: they stay in the cache."""


def isolated_grid(
    split: MeshSplit, lengths: np.ndarray, spacing: float, order: int
) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the points along each axis and the edges of a grid around a box with isolated charges.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    lengths : (3,) float64
        Edges of the box of the charges, angstrom.
    spacing : float
        The largest spacing that is wanted.
    order : int
        Points along an axis that a charge touches; the box starts `order` - 1 points from the corner of the grid.

    Returns
    -------
    (n1, n2, n3), (3,) float64
        Twice the points are products of 2, 3 and 5; the edges are those points times the spacing.
    """
    margin = order + _blend(split)
    counts = [_half_length(max(math.ceil(edge / spacing), 1) + margin) for edge in lengths]
    return tuple(counts), np.array([edge * n / (n - margin) for edge, n in zip(lengths, counts)])


def _blend(split: MeshSplit) -> int:
    return BLEND if split.shape < WIDE_SHAPE else WIDE_BLEND


def _half_length(n: int) -> int:
    while scipy.fft.next_fast_len(2 * n, real=True) != 2 * n:
        n += 1
    return n


@functools.lru_cache(maxsize=8)
def isolated_influence(
    split: MeshSplit, lengths: tuple[float, ...], grid: tuple[int, int, int], order: int, dtype: str
) -> np.ndarray:
    r"""Return the transform of B over that of the window, squared, at the modes of a grid of twice the points an axis.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    lengths : 3 floats
        Edges of the grid with the charges, angstrom.
    grid : (n1, n2, n3)
    order : int
        That of the window.
    dtype : str

    Returns
    -------
    (n3 + 1, n1 + 1, n2 + 1) array
        At the modes without sign: B is even along each axis. Not to be written to.

    Notes
    -----
    B is taken at points up to half of the doubled grid; the rest are mirror images. Distances turn over smoothly there,
    beyond all pairs of charges, as a kink would be seen everywhere once the window is divided out.
    """
    x, y, z = (_turned(n, edge / n, _blend(split)) ** 2 for n, edge in zip(grid, lengths))
    squares = x[:, None, None] + y[:, None] + z
    values = 1 / np.sqrt(np.maximum(squares, (0.5 * split.cutoff) ** 2))
    near = squares < split.far**2
    values[near] = split.potential(np.sqrt(squares[near]))
    modes = scipy.fft.dctn(values, type=1, overwrite_x=True, workers=host_threads())
    window = [spline_transform(np.arange(n + 1.0), 2 * n, order) ** -2 for n in grid]
    modes *= window[0][:, None, None]
    modes *= window[1][:, None] * window[2]
    found = np.ascontiguousarray(modes.transpose(2, 0, 1).astype(dtype))
    found.setflags(write=False)
    return found


def _turned(n: int, spacing: float, blend: int) -> np.ndarray:
    """Return distances 0 to n points, which end level: those of the doubled grid are smooth and even about n points."""
    u, width = np.arange(n + 1.0) - n, TURN * blend
    rounded = u * erf(u / width) + width / math.sqrt(math.pi) * np.exp(-((u / width) ** 2))
    found: np.ndarray = spacing * (n - rounded)
    found[0] = 0.0
    return found


def isolated_values(spread: Array, influence: np.ndarray) -> Array:
    """Return the convolution of charges on a grid with B, on the same grid.

    Parameters
    ----------
    spread : (n1, n2, n3) float32 or float64
    influence : (n3 + 1, n1 + 1, n2 + 1) array
        That of `isolated_influence`, on the host.

    Returns
    -------
    (n1, n2, n3) array

    Notes
    -----
    The charges fill an eighth of the doubled grid: along each axis only lines that are not zero, or that are wanted,
    are transformed, 7/12 of all.
    """
    xp, (n1, n2, n3) = namespace(spread), spread.shape
    if xp is not np:
        return _device_values(spread, influence)
    workers: dict[str, Any] = {"workers": host_threads(), "overwrite_x": True}
    lines = scipy.fft.rfft(spread, 2 * n3, axis=2, workers=host_threads())
    planes = np.ascontiguousarray(lines.transpose(2, 0, 1))  # (n3 + 1, n1, n2)
    step = max(1, SLAB // (4 * n1 * n2))
    for start in range(0, n3 + 1, step):
        rows = slice(start, start + step)
        modes = scipy.fft.fft(planes[rows], 2 * n2, axis=2, workers=host_threads())
        modes = scipy.fft.fft(modes, 2 * n1, axis=1, **workers)
        _multiply(modes, influence[rows])
        modes = scipy.fft.ifft(modes, axis=1, **workers)[:, :n1]
        planes[rows] = scipy.fft.ifft(modes, axis=2, workers=host_threads())[:, :, :n2]
    lines = np.ascontiguousarray(planes.transpose(1, 2, 0))
    return scipy.fft.irfft(lines, 2 * n3, axis=2, **workers)[:, :, :n3]


def _multiply(modes: np.ndarray, influence: np.ndarray) -> None:
    """Multiply modes (m, 2 n1, 2 n2) of both signs by a factor (m, n1 + 1, n2 + 1) that does not know the sign."""
    n1, n2 = influence.shape[1] - 1, influence.shape[2] - 1
    for first, along in ((slice(n1 + 1), slice(None)), (slice(n1 + 1, None), slice(n1 - 1, 0, -1))):
        modes[:, first, : n2 + 1] *= influence[:, along]
        modes[:, first, n2 + 1 :] *= influence[:, along, n2 - 1 : 0 : -1]


def doubled_influence(influence: np.ndarray) -> np.ndarray:
    """Return `isolated_influence` at the modes (2 n1, 2 n2, n3 + 1) of a real transform of the doubled grid."""
    _, n1, n2 = (n - 1 for n in influence.shape)
    both = [np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) for n in (n1, n2)]
    return np.ascontiguousarray(influence.transpose(1, 2, 0)[both[0]][:, both[1]])


def _device_values(spread: Array, influence: np.ndarray) -> Array:
    """Do the same by two transforms of the doubled grid."""
    xp, (n1, n2, n3) = namespace(spread), spread.shape
    doubled = (2 * n1, 2 * n2, 2 * n3)
    modes = xp.fft.rfftn(spread, s=doubled, axes=(0, 1, 2)) * to_device(doubled_influence(influence), xp)
    return xp.fft.irfftn(modes, s=doubled, axes=(0, 1, 2))[:n1, :n2, :n3]
