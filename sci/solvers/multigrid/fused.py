"""Both stages of a V-cycle around a coarse correction, each in one pass through memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import Kernel, bind, get_kernel, host_threads, use_compiled
from sci.solvers.multigrid.smoothers import SOURCE, given_links, inverse
from sci.solvers.poisson.grid import Layout

__all__ = ["LevelArrays", "ascend", "descend", "in_one_pass"]

Stage: TypeAlias = Callable[[], object]


@dataclass(frozen=True, eq=False)
class LevelArrays:
    """What a stage works on: d u - sum of link x neighbor = f on one level.

    Parameters
    ----------
    layout : Layout
    u, f, d : padded array
        d may be int8.
    links : (3, *padded) array or None
    share : padded array or None
        Factor of the interpolation from the next level.
    where : (7,) int64 array
        The box of all cells.
    """

    layout: Layout
    u: Array
    f: Array
    d: Array
    links: Array | None
    share: Array | None
    where: Array

    @cached_property
    def inverse(self) -> Array:
        """1 / d, 0 where d = 0: on one core it takes longer to divide, and to widen int8, than to read it."""
        result: Array = inverse(self.d, self.u.dtype)
        return result


def _kernel(name: str, e: LevelArrays) -> Kernel:
    return get_kernel(SOURCE, name, e.u.dtype, e.d.dtype, e.links is not None)


def in_one_pass(e: LevelArrays) -> bool:
    """Tell whether stages go in one pass: on one thread of a host, without periodic axes.

    On a device and with several threads a sweep is cut into blocks; round periodic axes it needs its layers filled.
    """
    if any(e.layout.periodic) or host_threads() > 1:
        return False
    return use_compiled(_kernel("descend", e), e.u) and use_compiled(_kernel("ascend", e), e.u)


def _fine(e: LevelArrays) -> tuple[Array, ...]:
    return e.u, e.u, e.f, e.d, e.inverse, given_links(e.links, e.u), e.u if e.share is None else e.share


def descend(e: LevelArrays, count: int, below: Layout, below_d: Array, below_f: Array, factor: float) -> Stage:
    """Return what does `count` half sweeps from u = 0, the first color first, and restricts the residual to below_f.

    Parameters
    ----------
    e : LevelArrays
    count : int
        At least 1.
    below : Layout
        `e.layout.halved`.
    below_d, below_f : padded coarse array
    factor : float
        Of the restriction, the transpose of the interpolation.
    """
    _, p1, p2 = e.layout.padded_shape
    _, c1, c2 = below.padded_shape
    room = namespace(e.u).zeros((6 + 4 * c1, p2), dtype=e.u.dtype)
    numbers = (e.where, p1, p2, c1, c2, count, factor, int(e.share is not None), int(e.layout.flat))
    return bind(_kernel("descend", e), 1, *_fine(e), room, below_d, below_f, *numbers)


def ascend(e: LevelArrays, count: int, below: Layout, correction: Array) -> tuple[Stage, Array]:
    """Return what adds the interpolation of a coarse `correction` and does `count` half sweeps, second color first.

    Returns
    -------
    stage : callable
    products : (2,) array
        The sum of f u, and u'A u, after it.
    """
    products = namespace(e.u).zeros(2, dtype=np.float64)
    flags = (int(e.share is not None), int(e.layout.flat))
    numbers = (e.where, *e.layout.padded_shape[1:], *below.padded_shape[1:], count, *flags)
    return bind(_kernel("ascend", e), 1, *_fine(e), correction, products, *numbers), products
