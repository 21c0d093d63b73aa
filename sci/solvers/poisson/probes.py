"""Random vectors of a Poisson operator that depend on the cells alone, not on ranks, and traces of its powers."""

from __future__ import annotations

from math import prod

import numpy as np

from sci.backend import Array, to_device
from sci.linalg import random_signs
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["cell_signs", "face_divergence", "traces"]


def _cells(A: PoissonOperator) -> list[np.ndarray]:
    """Return the places of this rank's cells along each axis of the whole grid, to be broadcast."""
    return [
        np.arange(s.start, s.stop).reshape([-1 if a == axis else 1 for a in range(A.ndim)])
        for axis, s in enumerate(A.slices)
    ]


def _numbers(A: PoissonOperator, places: list[np.ndarray]) -> np.ndarray:
    """Return the number of each cell in the whole grid, in C order."""
    strides = [prod(A.grid_shape[axis + 1 :]) for axis in range(A.ndim)]
    return np.asarray(sum(place * stride for place, stride in zip(places, strides)))


def cell_signs(A: PoissonOperator, seed: int, probe: int) -> Array:
    """Return a random sign for each unknown of this rank (n,)."""
    return A.compress(to_device(random_signs(_numbers(A, _cells(A)), seed, probe), A.xp))


def face_divergence(A: PoissonOperator, seed: int, probe: int) -> Array:
    """Return the divergence (n,) of random signs on the faces, each times the root of the face's weight.

    A is a sum over its faces of w d d' with d = e_i - e_j, or e_i at a wall; so the covariance of the sum over faces of
    sqrt(w) s d, with random signs s, is A. It has no part in the null space.
    """
    cells, count = _cells(A), prod(A.grid_shape)
    own = _numbers(A, cells)
    total = A.xp.zeros(A.local_shape)
    for axis, side, link, wall in A.faces():
        # A face between cells has the number of the lower one, which round a periodic axis is the last.
        lower = list(cells)
        if side < 0:
            lower[axis] = (cells[axis] - 1) % A.grid_shape[axis]
        inner = side * random_signs(_numbers(A, lower) + axis * count, seed, probe)
        outer = random_signs(own + (A.ndim + 2 * axis + (side > 0)) * count, seed, probe)
        total += A.xp.sqrt(link) * to_device(inner, A.xp) + A.xp.sqrt(wall) * to_device(outer, A.xp)
    return A.compress(total)


def traces(A: PoissonOperator) -> tuple[float, float]:
    """Return the traces of A and of A^2, from the entries of the matrix; collective."""
    diagonal = A.compress(A.diagonal)
    squares = float((diagonal**2).sum())
    links: dict[int, list[Array]] = {}
    for axis, _, link, _ in A.faces():
        links.setdefault(axis, []).append(A.compress(link))
    for axis, sides in links.items():
        # Round a periodic axis of two cells both faces lead to the same cell.
        entries = [sides[0] + sides[1]] if A.periodic[axis] and A.grid_shape[axis] == 2 else sides
        squares += sum(float((entry**2).sum()) for entry in entries)
    return A.grid.total(float(diagonal.sum())), A.grid.total(squares)
