"""Halos by `numpy.pad`, to compare with."""

from __future__ import annotations

import numpy as np


def padded(grid: np.ndarray, halo: tuple[int, ...], periodic: tuple[bool, ...]) -> np.ndarray:
    """Return the whole grid with its halo: wrapped where periodic, -1 beyond open boundaries."""
    for axis, (h, wraps) in enumerate(zip(halo, periodic)):
        width = [(0, 0)] * grid.ndim
        width[axis] = (h, h)
        grid = np.pad(grid, width, mode="wrap") if wraps else np.pad(grid, width, constant_values=-1.0)
    return grid
