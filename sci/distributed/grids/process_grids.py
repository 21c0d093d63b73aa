"""Choose how many boxes a grid is cut into along each axis."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from sci.errors import DecompositionError

__all__ = ["best_proc_shape"]


def best_proc_shape(
    grid: tuple[int, ...], n_ranks: int, halos: tuple[int, ...], whole: int | None = None
) -> tuple[int, ...]:
    """Return the boxes along each axis, 1 along the axis `whole`, that make the largest box least.

    Among equals the surface of the largest box decides, then the most even cut, then long runs along the last axes.
    Where the halo fits some choices only, it is one of those.
    """
    axes = [a for a in range(len(grid)) if a != whole]
    if not axes and n_ranks > 1:
        raise DecompositionError(f"{n_ranks} ranks for a grid {grid} that is to stay whole; expected more axes")

    def cost(procs: tuple[int, ...]) -> tuple[bool, int, int, int, tuple[int, ...]]:
        largest = [-(-n // p) for n, p in zip(grid, procs)]
        surface = sum(prod(largest) // k for k, p in zip(largest, procs) if p > 1)
        too_wide = any(p > 1 and h > n // p for n, p, h in zip(grid, procs, halos))
        return too_wide, prod(largest), surface, max(procs), procs[::-1]

    choices = []
    for factors in _factorizations(n_ranks, len(axes)):
        boxes = dict(zip(axes, factors))
        choices.append(tuple(boxes.get(a, 1) for a in range(len(grid))))
    return min(choices, key=cost)


def _factorizations(n: int, length: int) -> Iterator[tuple[int, ...]]:
    """Yield all ways to write n as an ordered product of `length` factors."""
    if length <= 1:
        yield (n,) * length
        return
    for d in range(1, n + 1):
        if n % d == 0:
            yield from ((d, *rest) for rest in _factorizations(n // d, length - 1))
