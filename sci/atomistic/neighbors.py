"""Neighbors within a cutoff, in any cell: pairs, and the same as rows of one length for array calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sci.arguments import entry
from sci.backend import ArrayLike, as_finite, as_points
from sci.errors import InvalidValueError, ShapeError
from sci.potentials.forcefield.images import images_by_shift
from sci.potentials.particles import SAME_PLACE

__all__ = [
    "Neighborhood",
    "checked_axes",
    "completed_cell",
    "image_shells",
    "joined",
    "neighbor_pairs",
    "neighborhood",
    "pairs_within",
]

_MOST_IMAGES = 200_000
"""Images of a cell within a cutoff: seconds of time; a cell of 1 angstrom has 1,331 within 5."""


@entry
def neighbor_pairs(
    positions: ArrayLike,
    cutoff: float,
    *,
    cell: ArrayLike | None = None,
    periodic: Sequence[bool] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all ordered pairs of atoms, and of atoms and images, closer than a cutoff.

    Parameters
    ----------
    positions : (n, 3) float64, angstrom
        Anywhere; those outside of the cell stand for their images in it.
    cutoff : float, angstrom
        Of any size: beyond half a cell an atom meets several images of another, and of itself.
    cell : (3, 3) float64, angstrom, optional
        The rows are the periods.
    periodic : (bool, bool, bool), optional
        Along which rows the atoms repeat; all three with a cell, unless given.

    Returns
    -------
    first, second : (p,) int64
        Atoms of each pair, ordered by `first`, then `second`, then the image. Each pair is there in both orders.
    shifts : (p, 3) int64
        The image of `second`: the pair's vector is positions[second] + shifts @ cell - positions[first].

    Raises
    ------
    ShapeError, DTypeError
    InvalidValueError
        For a cutoff that is not positive or reaches over too many periods, a cell without volume, or two atoms in one
        place.

    Notes
    -----
    All images within the cutoff of the cell go into a tree; O(n log n) at a fixed density. On the host.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import neighbor_pairs
    >>> first, second, shifts = neighbor_pairs([[0.0, 0.0, 0.0]], 1.5, cell=np.eye(3))
    >>> len(first)  # 6 at distance 1, 12 at the square root of 2
    18
    """
    points = as_points(positions, "positions", xp=np)
    if not 0 < cutoff < np.inf:
        raise InvalidValueError(f"cutoff is {cutoff}; expected a positive number (angstrom)")
    rows = None if cell is None else as_finite(cell, "cell", shape=(3, 3), xp=np)
    axes = np.array(checked_axes(rows, periodic))
    if rows is None or not axes.any():
        numbers, shifts = np.arange(len(points)), np.zeros((len(points), 3), np.int64)
        return pairs_within(points, points, numbers, shifts, cutoff)
    basis = completed_cell(rows, axes)
    inverse = np.linalg.inv(basis)
    fractions = points @ inverse
    floors = np.where(axes, np.floor(fractions), 0.0)
    home = points - floors @ basis
    images, numbers, shifts = _images(fractions - floors, basis, axes, cutoff * np.linalg.norm(inverse, axis=0))
    first, second, moved = pairs_within(home, images, numbers, shifts, cutoff)
    moved += (floors[first] - floors[second]).astype(np.int64)
    return first, second, moved


def checked_axes(cell: np.ndarray | None, periodic: Sequence[bool] | None) -> tuple[bool, ...]:
    """Return for each row of a cell if atoms repeat along it: all three with a cell and none without, unless given.

    Raises
    ------
    ShapeError, InvalidValueError
        For another number of axes than three, axes without a cell, and periods that are not independent.
    """
    axes = (cell is not None,) * 3 if periodic is None else tuple(bool(p) for p in periodic)
    if len(axes) != 3:
        raise ShapeError(f"periodic has {len(axes)} entries; expected three, one for each row of the cell")
    if cell is None:
        if any(axes):
            raise InvalidValueError(f"periodic is {axes} without a cell; expected the periods as cell=(3, 3)")
        return axes
    rows = cell[list(axes)]
    if np.linalg.matrix_rank(rows, tol=1e-10 * max(np.abs(rows).max(initial=0.0), 1e-300)) < len(rows):
        raise InvalidValueError("the rows of cell span no volume; expected independent periods")
    return axes


def image_shells(margin: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return the number of periods that a margin, in fractions of a cell, reaches over along each axis.

    Raises
    ------
    InvalidValueError
        For so many that no computation of their images would end.
    """
    reached = np.where(axes, np.ceil(margin), 0.0)
    images = float(np.prod(2 * reached + 1))
    if not images <= _MOST_IMAGES:
        raise InvalidValueError(
            f"the cutoff reaches over {images:.3g} images of the cell, {np.array2string(reached, precision=3)} periods "
            f"along its axes; expected at most {_MOST_IMAGES:,}: give lengths in angstrom, or reduce a skew cell"
        )
    return reached.astype(int)


def completed_cell(cell: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return the cell with rows that do not repeat replaced by unit vectors across the others."""
    rows = cell[axes]
    free = np.linalg.svd(rows)[2][len(rows) :]  # an orthonormal basis of the rest of space
    basis = cell.copy()
    basis[~axes] = free
    return basis


def _images(
    fractions: np.ndarray, basis: np.ndarray, axes: np.ndarray, margin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places, numbers and shifts of all images in the cell and a margin, in fractions, around it."""
    shells = image_shells(margin, axes)
    steps, places, numbers = zip(*images_by_shift(fractions, np.where(axes, margin, np.inf), shells))
    shifts = np.repeat(steps, [len(found) for found in numbers], axis=0)
    return np.concatenate(places) @ basis, np.concatenate(numbers), shifts


def pairs_within(
    home: np.ndarray, images: np.ndarray, numbers: np.ndarray, shifts: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of atoms `home` with images of atoms of these numbers, in order.

    Raises
    ------
    InvalidValueError
        For two in one place.
    """
    found = cKDTree(home).sparse_distance_matrix(cKDTree(images), cutoff, output_type="ndarray")
    first, image = found["i"].astype(np.int64), found["j"].astype(np.int64)
    second, moved = numbers[image], shifts[image]
    other = (first != second) | (moved != 0).any(axis=1)
    close = np.flatnonzero(other & (found["v"] < SAME_PLACE))
    if len(close):
        i, j = sorted((int(first[close[0]]), int(second[close[0]])))
        where = ", ".join(f"{c:.6g}" for c in home[first[close[0]]])
        raise InvalidValueError(
            f"atoms {i} and {j} (counted from 0), or images of them, are both at ({where}) angstrom; remove or move one"
        )
    keep = np.flatnonzero(other & (found["v"] < cutoff))
    first, second, moved = first[keep], second[keep], moved[keep]
    order = np.lexsort((*moved.T[::-1], second, first))
    return first[order], second[order], moved[order]


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """The neighbors of the atoms of one or more configurations, in rows of one length.

    Parameters
    ----------
    index : (n, k) int64
        Neighbors of each atom; 0 where a row has fewer.
    vectors : (n, k, 3) float64
        From an atom to its neighbor; beyond the cutoff where a row has fewer.
    present : (n, k) bool
    species : (m,) int64
        Of all atoms, m >= n: those without a row of their own are neighbors only.
    owner : (n,) int64
        The configuration of each atom; -1 for one whose energy is not counted.
    counts : tuple of int, optional
        Rows that each layer needs; all for every layer unless given.
    """

    index: np.ndarray
    vectors: np.ndarray
    present: np.ndarray
    species: np.ndarray
    owner: np.ndarray
    counts: tuple[int, ...] = ()

    def __repr__(self) -> str:
        n, k = self.index.shape
        return f"Neighborhood({n} atoms, at most {k} neighbors, {int(self.present.sum())} pairs)"

    @property
    def rows_of(self) -> np.ndarray:
        """The configuration of each row; those that are not counted belong to the first."""
        found: np.ndarray = np.maximum(self.owner, 0)
        return found

    @property
    def configurations(self) -> int:
        """Number of configurations."""
        return int(self.owner.max(initial=-1)) + 1


def neighborhood(
    species: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    vectors: np.ndarray,
    cutoff: float,
    rows: int | None = None,
) -> Neighborhood:
    """Return pairs, ordered by their first atom, as rows of one length; the first `rows` of the atoms have one."""
    first, second = pairs
    n = len(species) if rows is None else rows
    counts = np.bincount(first, minlength=n)
    width = max(1, int(counts.max(initial=0)))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    column = np.arange(len(first)) - starts[first]
    index = np.zeros((n, width), dtype=np.int64)
    placed = np.full((n, width, 3), cutoff)  # longer than the cutoff: no function of a neighbor is left of it
    present = np.zeros((n, width), dtype=bool)
    index[first, column], placed[first, column], present[first, column] = second, vectors, True
    return Neighborhood(index, placed, present, species, np.zeros(n, dtype=np.int64))


def joined(parts: Sequence[Neighborhood], cutoff: float) -> Neighborhood:
    """Return the neighborhoods of several configurations, of all their atoms, as one."""
    if len(parts) == 1:
        return parts[0]
    width = max(part.index.shape[1] for part in parts)
    offsets = np.cumsum([0, *(len(part.species) for part in parts)])
    shape = (int(offsets[-1]), width)
    index, placed = np.zeros(shape, dtype=np.int64), np.full((*shape, 3), cutoff)
    present, owner = np.zeros(shape, dtype=bool), np.empty(shape[0], dtype=np.int64)
    for k, part in enumerate(parts):
        rows, columns = slice(offsets[k], offsets[k + 1]), slice(part.index.shape[1])
        index[rows, columns], placed[rows, columns] = part.index + offsets[k], part.vectors
        present[rows, columns], owner[rows] = part.present, k
    return Neighborhood(index, placed, present, np.concatenate([part.species for part in parts]), owner)
