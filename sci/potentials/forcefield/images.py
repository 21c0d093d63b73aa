"""Nearest images in a periodic cell of any shape."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial import cKDTree

from sci.backend import Array, namespace, to_device

__all__ = ["least_height", "nearest_images", "pairs_in_cell", "reduced_cell", "reduced_plane"]


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
    inverse = np.linalg.inv(cell)
    fractions = places @ inverse
    fractions -= np.floor(fractions)
    margin = reach * np.linalg.norm(inverse, axis=0)
    images, owners = [], []
    for shift in np.ndindex(3, 3, 3):
        moved = fractions + (np.array(shift) - 1)
        near = np.flatnonzero(((moved >= -margin) & (moved <= 1 + margin)).all(axis=1))
        images.append(moved[near] @ cell)
        owners.append(near)
    numbers = np.concatenate(owners)
    home = fractions @ cell
    found = cKDTree(home).sparse_distance_matrix(cKDTree(np.concatenate(images)), reach, output_type="coo_matrix")
    pairs = np.stack([found.row, numbers[found.col]], axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    return pairs, nearest_images(places[pairs[:, 0]] - places[pairs[:, 1]], cell)
