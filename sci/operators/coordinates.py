"""The coordinates of grid points, which operators see as channels beside the fields."""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np

from sci.backend import Array, device_number, namespace, to_device

__all__ = ["grid_coordinates"]


def grid_coordinates(x: Array) -> Array:
    """Return the coordinates i_j / N_j of the grid of `x` (batch, channel, *grid), of its dtype and device.

    Returns
    -------
    (batch, d, *grid) array
        Read-only: the samples share one memory, which is kept.

    Examples
    --------
    >>> grid_coordinates(np.zeros((3, 1, 4)))[0]
    array([[0.  , 0.25, 0.5 , 0.75]])
    """
    xp = namespace(x)
    found = _coordinates(tuple(x.shape[2:]), np.dtype(x.dtype).name, xp, device_number(x))
    return xp.broadcast_to(found, (x.shape[0], *found.shape))


@functools.lru_cache(maxsize=8)
def _coordinates(grid: tuple[int, ...], dtype: str, xp: ModuleType, device: int) -> Array:
    """Return the coordinates (d, *grid), made once for each grid, dtype and device."""
    axes = np.meshgrid(*((np.arange(n) / n).astype(dtype) for n in grid), indexing="ij")
    return to_device(np.stack(axes), xp)
