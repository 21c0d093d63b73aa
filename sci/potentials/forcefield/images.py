"""Periodic cells of any shape: short periods, places in the cell, images around it, and nearest images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from sci.backend import Array, ArrayLike, is_device_array, namespace, to_device, to_host

__all__ = [
    "cell_images",
    "images_by_shift",
    "least_height",
    "nearest_images",
    "pairs_in_cell",
    "reduced_cell",
    "reduced_plane",
    "short_periods",
    "wrapped",
    "wrapped_fractions",
]

SKEWED = 0.5
"""Least height of a cell, over that of its shortest periods, below which these take its place."""


def least_height(cell: np.ndarray) -> float:
    """Return the least distance between two faces of a cell, a period apart, of the shape where it is largest."""
    return float(1 / np.linalg.norm(np.linalg.inv(reduced_cell(cell)), axis=0).max())


def reduced_cell(cell: np.ndarray) -> np.ndarray:
    """Return the shortest periods of the lattice (Minkowski's), ascending in length.

    References
    ----------
    I. Semaev, in Cryptography and Lattices, LNCS 2146 (2001) 181: the greedy reduction in three dimensions.
    """
    rows = np.array(cell, dtype=np.float64)
    while True:
        rows = rows[np.argsort(np.linalg.norm(rows, axis=1), kind="stable")]
        a, b, c = rows
        turns = np.rint(a @ b / (a @ a))
        if turns and np.linalg.norm(b - turns * a) < (1 - 1e-12) * np.linalg.norm(b):
            rows[1] = b - turns * a
            continue
        steps = np.rint(np.linalg.lstsq(rows[:2].T, c, rcond=None)[0])
        near = (steps + step for step in itertools.product((-1, 0, 1), repeat=2))
        shortest = min((c - turn @ rows[:2] for turn in near), key=np.linalg.norm)
        if np.linalg.norm(shortest) >= (1 - 1e-12) * np.linalg.norm(c):
            return rows
        rows[2] = shortest


def reduced_plane(rows: np.ndarray) -> np.ndarray:
    """Return the shortest two periods of a plane lattice, (2, 3) (Lagrange's reduction)."""
    short, long = sorted(np.array(rows, dtype=np.float64), key=np.linalg.norm)
    while True:
        long = long - np.rint(short @ long / (short @ short)) * short
        if np.linalg.norm(long) >= (1 - 1e-12) * np.linalg.norm(short):
            return np.stack([short, long])
        short, long = long, short


def short_periods(cell: np.ndarray, slab: bool = False) -> np.ndarray:
    """Return a cell, or other periods of its lattice where it is skewed: sums over images and modes then stay bounded.

    Parameters
    ----------
    cell : (3, 3) float64
        Periods as rows, on the host.
    slab : bool
        Keep the third row, which is no period, and choose among those of the first two.

    Returns
    -------
    (3, 3) float64
        The cell itself, unless two of its faces lie closer than half of what the shortest periods allow.
    """
    given = cell
    if slab:
        normal = np.cross(cell[0], cell[1])
        area = float(np.linalg.norm(normal))
        found = np.concatenate([reduced_plane(cell[:2]), cell[2:]])
        heights = [area / float(np.linalg.norm(rows[:2], axis=1).max()) for rows in (given, found)]
    else:
        found = reduced_cell(cell)
        heights = [float(1 / np.linalg.norm(np.linalg.inv(rows), axis=0).max()) for rows in (given, found)]
    return given if heights[0] >= SKEWED * heights[1] else found


def wrapped_fractions(positions: ArrayLike, cell: ArrayLike) -> Array:
    """Return the fractional coordinates in [0, 1) of positions (n, 3)."""
    xp = namespace(positions)
    fractions = positions @ to_device(np.linalg.inv(to_host(cell)), xp)
    if is_device_array(fractions):  # a launch each; 1 is what rounding makes of numbers just below 0
        return fractions % 1.0 % 1.0
    fractions = fractions - xp.floor(fractions)
    return xp.where(fractions >= 1.0, 0.0, fractions)


def wrapped(positions: ArrayLike, cell: ArrayLike) -> tuple[Array, Array]:
    """Return fractional coordinates in [0, 1), and the places in the cell."""
    fractions = wrapped_fractions(positions, cell)
    return fractions, namespace(positions).ascontiguousarray(fractions @ cell)


def cell_images(fractions: Array, cell: Array, margin: np.ndarray) -> tuple[Array, Array]:
    """Return positions and numbers of all images in the cell and `margin`, in fractions, around it."""
    xp = namespace(fractions)
    _, places, numbers = zip(*images_by_shift(fractions, margin, np.ceil(margin).astype(int)))
    return xp.ascontiguousarray(xp.concatenate(places) @ cell), xp.concatenate(numbers)


def images_by_shift(
    fractions: Array, margin: np.ndarray, shells: np.ndarray
) -> Iterator[tuple[np.ndarray, Array, Array]]:
    """Yield shifts of up to `shells` periods, and places in fractions and numbers of the images in cell and margin.

    A margin may be infinite along an axis without periods, where the shell is 0.
    """
    xp = namespace(fractions)
    low, high = xp.asarray(-margin - 1e-12), xp.asarray(1 + margin + 1e-12)
    for place in np.ndindex(*(2 * shells + 1)):
        shift = np.array(place) - shells
        moved = fractions + xp.asarray(shift, dtype=float)
        near = ((moved >= low) & (moved <= high)).all(axis=1)
        yield shift, moved[near], xp.nonzero(near)[0]


def nearest_images(vectors: Array, cell: np.ndarray) -> Array:
    """Return the shortest of the images of each vector (m, 3) under the periods `cell` (3, 3), for any shape of cell.

    Notes
    -----
    In reduced periods the nearest image is among the 27 around the one that rounding finds.
    """
    xp, rows = namespace(vectors), reduced_cell(cell)
    periods, inverse = to_device(rows, xp), to_device(np.linalg.inv(rows), xp)
    moved = vectors - xp.rint(vectors @ inverse) @ periods
    # Within half of the least height no image is nearer; most vectors are.
    far = xp.flatnonzero((moved * moved).sum(axis=1) > (0.5 * least_height(rows)) ** 2)
    if len(far):
        shifts = to_device(np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3))) @ rows, xp)
        images = moved[far][:, None, :] + shifts
        best = (images * images).sum(axis=2).argmin(axis=1)
        moved[far] = images[xp.arange(len(far)), best]
    return moved


def pairs_in_cell(places: np.ndarray, cell: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs within `reach` under the periods, and the vectors between their nearest images.

    The atoms and those images that lie within `reach` of the reduced cell are searched; `reach` is below half of it.
    """
    cell = reduced_cell(cell)
    fractions, home = wrapped(places, cell)
    images, numbers = cell_images(fractions, cell, reach * np.linalg.norm(np.linalg.inv(cell), axis=0))
    found = cKDTree(home).sparse_distance_matrix(cKDTree(images), reach, output_type="coo_matrix")
    pairs = np.stack([found.row, numbers[found.col]], axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    return pairs, nearest_images(places[pairs[:, 0]] - places[pairs[:, 1]], cell)
