"""Molecules that a periodic cell cuts, made whole along a tree of their shortest connections."""

from __future__ import annotations

import numpy as np

from sci.arguments import collective_entry
from sci.backend import as_finite, to_host
from sci.distributed import Comm, agreed, broadcast, rank_of
from sci.errors import InvalidValueError, ShapeError

__all__ = ["unwrap"]

_NEAR, _FAR = 0.25, 0.4
"""Largest connection in the first frame, and in any frame, over the smallest height of the cell."""


@collective_entry
def unwrap(frames: np.ndarray, cells: np.ndarray, *, comm: Comm = None) -> np.ndarray:
    """Make a molecule whole that lies across the boundary of a periodic cell, in every frame.

    Parameters
    ----------
    frames : (F, n, 3)
        Positions of the atoms of one molecule, or of several that stay beside each other.
    cells : (F, 3, 3)
        Periods of each frame in the rows, in the unit of the positions.
    comm : mpi4py communicator, optional
        Each rank holds frames of its own.

    Returns
    -------
    (F, n, 3) float64 array
        The first atom where it was, and every other atom at the image beside its neighbor in the tree.

    Raises
    ------
    ShapeError, DTypeError
    InvalidValueError
        Also where the atoms fall into parts that are far from each other, in the first frame or later: which image of a
        part belongs to another is then not known. On every rank.

    Notes
    -----
    The tree is the minimum spanning tree of the first frame over distances to the nearest images, O(n^2); it holds for
    all frames, as bonds do. Connections above 0.25 of the smallest height of the cell in the first frame, or 0.4 later,
    are refused; from 0.5 on a nearest image may be the wrong one. Collective over `comm`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import unwrap
    >>> cut = np.array([[[0.5, 0, 0], [9.5, 0, 0]], [[9.9, 0, 0], [0.9, 0, 0]]])
    >>> unwrap(cut, np.array([10 * np.eye(3)] * 2))[:, :, 0]
    array([[ 0.5, -0.5],
           [ 9.9, 10.9]])
    """
    with agreed(comm, "unwrap") as agreement:
        x = as_finite(to_host(frames), "frames", shape=(None, None, 3))
        periods = as_finite(to_host(cells), "cells", shape=(len(x), 3, 3))
        if x.shape[1] == 0:
            raise InvalidValueError(f"frames has shape {x.shape}; expected at least one atom")
        if (np.linalg.det(periods) == 0).any():
            raise InvalidValueError("cells holds a cell without volume; expected three independent periods")
        agreement.same(ShapeError, atoms=int(x.shape[1]))
        agreement.gather(len(x))
    counts = agreement.table[:, 0]
    if counts.sum() == 0:
        return np.asarray(x)
    root = int(np.flatnonzero(counts)[0])
    first = broadcast(np.concatenate([x[0], periods[0]]) if len(x) else None, comm, root)
    with agreed(comm, "unwrap"):
        tree = _spanning_tree(first[:-3], first[-3:])
        return _along(x, periods, tree, int(counts[: rank_of(comm)].sum()))


def _nearest_image(difference: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return differences (..., 3) to the nearest images; right for those below half of the smallest height."""
    return np.asarray(difference - np.rint(difference @ np.linalg.inv(cell)) @ cell)


def _height(cell: np.ndarray) -> np.ndarray:
    """Return the smallest distance of opposite faces of each cell."""
    return np.asarray(1 / np.linalg.norm(np.linalg.inv(cell), axis=-2).max(axis=-1))


def _spanning_tree(positions: np.ndarray, cell: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs (atom, neighbor before it) in an order in which each neighbor comes first (Prim)."""
    n = len(positions)
    least, parent = np.full(n, np.inf), np.zeros(n, np.int64)
    outside = np.ones(n, bool)
    current, found = 0, []
    limit = _NEAR * float(_height(cell))
    for _ in range(n - 1):
        outside[current], least[current] = False, np.inf
        squared = (_nearest_image(positions - positions[current], cell) ** 2).sum(axis=1)
        closer = outside & (squared < least)
        least[closer], parent[closer] = squared[closer], current
        current = int(least.argmin())
        if least[current] > limit**2:
            raise InvalidValueError(
                f"atom {current} is {np.sqrt(least[current]):.3g} from the nearest atom of the others, in a cell whose "
                f"smallest height is {limit / _NEAR:.4g}: which image belongs to them is not known; choose the atoms "
                "of one molecule, or leave them as they are if they are whole"
            )
        found.append((current, int(parent[current])))
    return found


def _along(x: np.ndarray, cells: np.ndarray, tree: list[tuple[int, int]], start: int) -> np.ndarray:
    """Return frames whose atoms stand beside their neighbors in the tree; `start` is the number of the first frame."""
    whole = x.copy()
    limit = _FAR * _height(cells) if len(x) else np.zeros(0)
    inverse = np.linalg.inv(cells)
    for atom, neighbor in tree:
        difference = x[:, atom] - whole[:, neighbor]
        image = np.rint(np.einsum("fi,fij->fj", difference, inverse))
        difference = difference - np.einsum("fi,fij->fj", image, cells)
        length = np.linalg.norm(difference, axis=1)
        far = np.flatnonzero(length > limit)
        if len(far):
            k = int(far[0])
            raise InvalidValueError(
                f"frame {start + k}: atoms {neighbor} and {atom}, which were beside each other in the first frame, are "
                f"{length[k]:.3g} apart, in a cell whose smallest height is {limit[k] / _FAR:.4g}: which image is the "
                "right one is not known; choose the atoms of one molecule, or leave them as they are if they are whole"
            )
        whole[:, atom] = whole[:, neighbor] + difference
    return whole
