"""Halos of padded arrays that ranks hold one box of each, and the cells of a box that need none."""

from __future__ import annotations

from collections.abc import Callable

from sci.backend import Array
from sci.distributed import GridDecomposition, HaloExchange
from sci.solvers.poisson.grid import Box

__all__ = ["Halo", "interior_and_shell"]


def interior_and_shell(lengths: tuple[int, int, int]) -> tuple[Box | None, list[Box]]:
    """Split a box into the cells whose neighbors all lie inside (None if there are none), and boxes of the others."""
    if min(lengths) < 3:
        return None, [((0, 0, 0), lengths)]
    n0, n1, n2 = lengths
    shell: list[Box] = [
        ((0, 0, 0), (1, n1, n2)),
        ((n0 - 1, 0, 0), (1, n1, n2)),
        ((1, 0, 0), (n0 - 2, 1, n2)),
        ((1, n1 - 1, 0), (n0 - 2, 1, n2)),
        ((1, 1, 0), (n0 - 2, n1 - 2, 1)),
        ((1, 1, n2 - 1), (n0 - 2, n1 - 2, 1)),
    ]
    return ((1, 1, 1), (n0 - 2, n1 - 2, n2 - 2)), shell


class Halo:
    """Exchange of the halo of padded arrays on one level; cells beyond a wall keep their values.

    Parameters
    ----------
    decomposition : GridDecomposition
        Of two or three axes, with a halo of one cell.
    periodic : tuple of bool
        Whether each axis wraps round.

    Notes
    -----
    Collective. Each exchange sends one message to each neighbor over a face, an edge or a corner.
    """

    def __init__(self, decomposition: GridDecomposition, periodic: tuple[bool, ...]) -> None:
        self.decomposition = decomposition
        self._exchange = HaloExchange(decomposition, periodic)
        plane = (1,) * (3 - decomposition.ndim)
        self._key = (Ellipsis, *plane, *(slice(0, n + 2) for n in decomposition.local_shape))

    def fill(self, padded: Array) -> Array:
        """Exchange the halo and wait for it; the array may have axes before the three of the grid."""
        self._exchange.start(padded[self._key], checked=True)
        self._exchange.finish()
        return padded

    def during(self, padded: Array, work: Callable[[], object]) -> None:
        """Exchange the halo and run `work`, which must leave the outer cells alone, meanwhile."""
        self._exchange.start(padded[self._key], checked=True)
        work()
        self._exchange.finish()
