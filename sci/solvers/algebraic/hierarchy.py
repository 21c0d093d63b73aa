"""The levels of algebraic multigrid: matrices, transfers and near null spaces, in float64 on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.linalg.sparse.products import diagonal_of, multiply_rows, transpose
from sci.linalg.sparse.rows import SparseRows
from sci.solvers.algebraic.aggregation import LONE, aggregates, link_sizes, node_matrix, strong_links
from sci.solvers.algebraic.prolongation import largest_eigenvalue, smoothed, smoothing_matrix, tentative

__all__ = ["Level", "Settings", "build"]

OMEGA = 1.5
"""Damping of the step that smooths prolongation, in units of the inverse of a bound of the largest eigenvalue.

For the eigenvalue itself it would be 4 / 3; the bounds exceed it by a tenth or more.
"""
NULL = 32 * float(np.finfo(np.float64).eps)
"""A coarse diagonal below this part of what the fine diagonal makes of it is a null vector of a component."""
SHRINKS = 0.75
"""Coarse unknowns to fine ones above which weaker links are tried."""
MOST_LEVELS = 30
PART, FEW = 0.6, 6.0
"""Part of the links that are strong, and strong links of a node, up to which prolongation is smoothed twice.

Where many links are weak, aggregates are narrow: smoothing along strong links twice reaches as far as it has to, and
the next matrix stays sparse.
"""


@dataclass(frozen=True)
class Settings:
    """How the levels are made; see `AlgebraicMultigrid`."""

    theta: float
    degree: int | None
    coarsest: int
    symmetric: bool


@dataclass
class Level:
    """A matrix, its near null space, and the transfers to the next level.

    Parameters
    ----------
    A : SparseRows
    vectors : (n, k) array
        Near null space.
    node_starts : (nodes + 1,) int64 array or None
        Where the rows of each node start; None where each row is a node.
    dead : (n,) bool array
        Unknowns that are null vectors of a component on their own: they stay 0.
    P, R : SparseRows or None
        Prolongation to this level, and restriction from it.
    """

    A: SparseRows
    vectors: np.ndarray
    node_starts: np.ndarray | None
    dead: np.ndarray
    P: SparseRows | None = None
    R: SparseRows | None = None

    @property
    def diagonal(self) -> np.ndarray:
        """Diagonal of A, 1 where an unknown is dead."""
        return np.where(self.dead, 1.0, diagonal_of(self.A))


def build(A: SparseRows, vectors: np.ndarray, node_starts: np.ndarray | None, settings: Settings) -> list[Level]:
    """Return the levels, the finest first."""
    levels = [Level(A, vectors, node_starts, np.zeros(len(A.starts) - 1, bool))]
    while len(levels[-1].A.starts) - 1 > settings.coarsest and len(levels) < MOST_LEVELS:
        coarse = _coarsened(levels[-1], settings)
        if coarse is None:
            break
        levels.append(coarse)
    return levels


def _coarsened(fine: Level, settings: Settings) -> Level | None:
    """Set the transfers of a level and return the next; None where no unknown is left, or nothing can be merged."""
    A, theta = fine.A, settings.theta
    links = _link_matrix(fine, settings)
    signed = fine.node_starts is None
    largest, total = link_sizes(links, signed)
    alone = (total <= LONE * (np.abs(diagonal_of(links)) - total)).astype(np.int8)
    alone |= _of_nodes(fine.dead, fine.node_starts)
    if alone.all():
        return None
    while True:
        strong = strong_links(links, largest, theta, signed)
        groups, count = aggregates(links, strong, alone)
        if count <= SHRINKS * (alone == 0).sum() or theta == 0:
            break
        theta = theta / 2 if theta > 0.02 else 0.0
    if count >= len(alone) - alone.sum():
        return None
    rows = groups if fine.node_starts is None else np.repeat(groups, np.diff(fine.node_starts))
    T, vectors, node_starts = tentative(rows, count, fine.vectors)
    S, twice = _smoother(fine, strong, settings)
    degree = settings.degree or (2 if twice and _is_thin(links, strong) else 1)
    P = smoothed(S, T, degree)
    fine.P = P
    fine.R = transpose(P) if settings.symmetric else transpose(T)
    coarse = multiply_rows(fine.R, multiply_rows(A, P))
    weight = np.bincount(P.columns, P.values**2 * np.repeat(fine.diagonal, np.diff(P.starts)), P.width)
    dead = diagonal_of(coarse) <= NULL * weight
    return Level(coarse, vectors, node_starts if fine.vectors.shape[1] > 1 else None, dead)


def _link_matrix(fine: Level, settings: Settings) -> SparseRows:
    """Return the matrix whose links say which nodes are strongly connected: symmetric in its pattern."""
    A = fine.A
    if not settings.symmetric:
        A = SparseRows.of((A.to_scipy() + transpose(A).to_scipy()).tocsr().sorted_indices())
    return node_matrix(A, fine.node_starts)


def _of_nodes(flags: np.ndarray, node_starts: np.ndarray | None) -> np.ndarray:
    """Return a flag, int8, of each node whose rows all have it."""
    if node_starts is None:
        return flags.astype(np.int8)
    found: np.ndarray = (
        np.logical_and.reduceat(flags, node_starts[:-1]) if flags.any() else np.zeros(len(node_starts) - 1, bool)
    )
    return found.astype(np.int8)


def _is_thin(links: SparseRows, strong: np.ndarray) -> bool:
    """Return True where strong links are few, and few of all."""
    count, n = int(strong.sum()), len(links.starts) - 1
    return count <= PART * (len(links.columns) - n) and count <= FEW * n


def _smoother(fine: Level, strong: np.ndarray, settings: Settings) -> tuple[SparseRows, bool]:
    """Return the matrix that smooths prolongation, and True if it is made of strong links alone."""
    if fine.node_starts is None and settings.symmetric:
        return smoothing_matrix(fine.A, strong, fine.vectors[:, 0], OMEGA), True
    A, diagonal = fine.A, fine.diagonal
    n = len(diagonal)
    _, total = link_sizes(A, False)
    bound = float(np.max((total + diagonal) / diagonal))
    if settings.symmetric:
        bound = min(bound, largest_eigenvalue(A, 1 / np.sqrt(diagonal)))
    rows = np.repeat(np.arange(n), np.diff(A.starts))
    values = A.values * (-OMEGA / bound / diagonal)[rows] + (rows == A.columns)
    return A.with_values(values), False
