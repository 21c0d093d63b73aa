"""Both stages of a V-cycle around a coarse correction, each in one pass through memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import Kernel, bind, get_kernel, host_threads, use_compiled
from sci.solvers.multigrid.level import Level
from sci.solvers.multigrid.smoothers import SOURCE, given_offdiag

__all__ = ["ascend", "descend", "in_one_pass"]

Stage: TypeAlias = Callable[[], object]


def _kernel(name: str, level: Level, u: Array) -> Kernel:
    return get_kernel(SOURCE, name, u.dtype, level.d.dtype, level.offdiag is not None)


def in_one_pass(level: Level, u: Array) -> bool:
    """Return True if each stage is one pass: on one thread of a host, on one process, without periodic axes.

    On a device and with several threads a sweep is cut into blocks; at a halo it waits for its neighbors.
    """
    if level.grid.halo is not None or any(level.layout.periodic) or host_threads() > 1:
        return False
    return all(use_compiled(_kernel(name, level, u), u) for name in ("descend", "ascend"))


def _arrays(level: Level, u: Array, f: Array) -> tuple[Array, ...]:
    weights = u if level.weights is None else level.weights
    return u, u, f, level.d, level.inverse, given_offdiag(level.offdiag, u), weights


def _flags(level: Level) -> tuple[int, int]:
    return int(level.weights is not None), int(level.layout.is_2d)


def descend(level: Level, u: Array, f: Array, count: int, below: Level, below_f: Array, factor: float) -> Stage:
    """Return a callable that runs `count` half-sweeps from u = 0, red first, and restricts the residual to `below_f`.

    Parameters
    ----------
    level : Level
    u, f : padded array
    count : int
        At least 1.
    below : Level
        The next level.
    below_f : padded coarse array
    factor : float
        Of the restriction, the transpose of the interpolation.
    """
    p1, p2 = level.layout.padded_shape[1:]
    c1, c2 = below.layout.padded_shape[1:]
    scratch = namespace(u).zeros((6 + 4 * c1, p2), dtype=u.dtype)
    numbers = (level.whole, p1, p2, c1, c2, count, factor, *_flags(level))
    return bind(_kernel("descend", level, u), 1, *_arrays(level, u, f), scratch, below.d, below_f, *numbers)


def ascend(level: Level, u: Array, f: Array, count: int, below: Level, correction: Array) -> tuple[Stage, Array]:
    """Return a callable that adds the interpolated coarse `correction` and runs `count` half-sweeps, black first.

    Returns
    -------
    stage : callable
    products : (2,) array
        f'u and u'A u after it.
    """
    products = namespace(u).zeros(2, dtype=np.float64)
    numbers = (level.whole, *level.layout.padded_shape[1:], *below.layout.padded_shape[1:], count, *_flags(level))
    return bind(_kernel("ascend", level, u), 1, *_arrays(level, u, f), correction, products, *numbers), products
