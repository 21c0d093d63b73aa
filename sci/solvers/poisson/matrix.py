"""The assembled matrix of a Poisson operator, and inverses of small ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sci.backend import Array, to_host
from sci.solvers.poisson.boundary import beyond_face
from sci.solvers.poisson.faces import Face
from sci.solvers.poisson.grid import Layout

__all__ = ["pseudo_inverse", "to_csr"]


def to_csr(mask: Array, periodic: tuple[bool, ...], diagonal: Array, faces: Iterable[Face]) -> Any:
    """Return the matrix over the fluid cells as a `scipy.sparse.csr_matrix` on the host.

    Parameters
    ----------
    mask : (*grid) bool array
    periodic : tuple of bool
    diagonal : (*grid) array
    faces : iterable of Face
        Weights of the faces of each cell, on the grid.
    """
    from scipy import sparse

    mask = to_host(mask)
    size, layout = int(mask.sum()), Layout(mask.shape, periodic)
    inside = np.full(mask.shape, -1, dtype=np.int64)
    inside[mask] = np.arange(size)
    padded = np.full(layout.padded_shape, -1, dtype=np.int64)
    padded[layout.key] = inside
    number = layout.wrap(padded)[layout.halo_view]
    rows, columns = [np.arange(size)], [np.arange(size)]
    entries = [to_host(diagonal)[mask]]
    for axis, side, link, _ in faces:
        weights = to_host(link)
        linked = weights > 0
        rows.append(inside[linked])
        columns.append(beyond_face(number, axis, side)[linked])
        entries.append(-weights[linked])
    triplet = (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.coo_matrix(triplet, shape=(size, size)).tocsr()


def pseudo_inverse(matrix: np.ndarray, cutoff: float) -> np.ndarray:
    """Return the pseudo-inverse of symmetric positive semi-definite matrices (..., n, n).

    Eigenvalues up to `cutoff` times the largest count as zero.
    """
    if matrix.shape[-1] == 0:
        return matrix
    values, vectors = np.linalg.eigh(matrix)
    good = values > cutoff * values.max(axis=-1, keepdims=True)
    inverses = np.where(good, 1 / np.where(good, values, 1), 0)
    return np.asarray((vectors * inverses[..., None, :]) @ np.swapaxes(vectors, -1, -2))
