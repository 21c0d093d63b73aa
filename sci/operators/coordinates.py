"""The coordinates of grid points, which operators see as channels beside the fields."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace

__all__ = ["grid_coordinates"]


def grid_coordinates(x: Array) -> Array:
    """Return the coordinates i_j / N_j of the grid of `x` (batch, channel, *grid), of its dtype and device.

    Returns
    -------
    (batch, d, *grid) array
        The samples share one memory.

    Examples
    --------
    >>> grid_coordinates(np.zeros((3, 1, 4)))[0]
    array([[0.  , 0.25, 0.5 , 0.75]])
    """
    xp, grid = namespace(x), x.shape[2:]
    axes = [xp.asarray((np.arange(n) / n).astype(x.dtype)) for n in grid]
    shape = (x.shape[0], *grid)
    columns = [axis.reshape(-1, *(1,) * (len(grid) - 1 - j)) for j, axis in enumerate(axes)]
    return xp.stack([xp.broadcast_to(c, shape) for c in columns], axis=1)
