"""Moves of a codebook: the least squares of the whole sum over scales, and codes without vectors."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import linalg, sparse

from sci.distributed import Comm, allgather_rows, allreduce_max, allreduce_sum, broadcast_object
from sci.nn import resample

__all__ = ["MOST_UNKNOWN", "least_squares", "revived"]

MOST_UNKNOWN = 6144
"""Codes of all codebooks for which normal equations are solved: they are dense."""
_BITS = 20
"""Of the integers that weights are rounded to, at most, so that sums do not depend on the ranks."""
_RIDGE = 1e-2
"""Part of the mean of the diagonal that holds codes where they are."""


@functools.lru_cache(maxsize=64)
def _interpolation(size: tuple[int, ...], grid: tuple[int, ...], bits: int) -> sparse.csr_matrix:
    """Return the weights of the cells of `size` at those of `grid`, as integers in units of 2^-bits."""
    found = sparse.identity(1, format="csr")
    for p, n in zip(size, grid):
        axis = np.eye(p) if p == n else resample(np.eye(p)[:, None], size=n, method="cubic")[:, 0].T
        found = sparse.kron(found, sparse.csr_matrix(axis), format="csr")
    found.data = np.rint(found.data * 2.0**bits)
    found = found.astype(np.int64)
    found.eliminate_zeros()
    return found


def _design(
    codes: Sequence[np.ndarray], scales: Sequence[tuple[int, ...]], vocabulary: int, own: bool, bits: int
) -> sparse.csr_matrix:
    """Return the matrix (fields cells, unknown codes) whose product with the codes is the sum over scales."""
    unknown = vocabulary * (len(scales) if own else 1)
    total = None
    for k, (chosen, size) in enumerate(zip(codes, scales)):
        flat = chosen.reshape(-1) + (k * vocabulary if own else 0)
        ones = np.ones(len(flat), np.int64)
        members = sparse.csr_matrix((ones, flat, np.arange(len(flat) + 1)), shape=(len(flat), unknown))
        weights = sparse.kron(
            sparse.identity(len(chosen), dtype=np.int64), _interpolation(size, tuple(scales[-1]), bits)
        )
        part = weights.tocsr() @ members
        total = part if total is None else total + part
    return total


def least_squares(
    latent: np.ndarray,
    codes: Sequence[np.ndarray],
    codebook: np.ndarray,
    scales: Sequence[tuple[int, ...]],
    n_fields: int,
    comm: Comm,
) -> np.ndarray:
    """Return the codebook for which |f - sum over scales up(codebook[codes])|^2 over all ranks is the least.

    A small ridge holds codes near where they are, and unused ones there. Sums are of integers: the result does not
    depend on how the fields are spread over the ranks.
    """
    own, (v, c) = codebook.ndim == 3, codebook.shape[-2:]
    old = codebook.reshape(-1, c).astype(np.float64)
    total = math.prod(scales[-1]) * n_fields
    rows = np.moveaxis(latent, 1, -1).reshape(-1, c).astype(np.float64)
    largest = float(allreduce_max(np.array([np.abs(rows).max(initial=0.0)]), comm)[0]) or 1.0
    # a cell has weights of 3 K at most; sums over all cells of two of them, or of one and a number, stay below 2^62
    size = (3 * len(scales)).bit_length()
    weight_bits = min(_BITS, (62 - total.bit_length()) // 2 - size)
    unit = 2.0 ** (math.ceil(math.log2(largest)) - min(30, 62 - total.bit_length() - size - weight_bits))
    normal, right = np.zeros((len(old), len(old)), np.int64), np.zeros((len(old), c), np.int64)
    step, cells = max(1, 2**16 // math.prod(scales[-1])), math.prod(scales[-1])
    for start in range(0, len(latent), step):
        part = slice(start, min(len(latent), start + step))
        design = _design([chosen[part] for chosen in codes], scales, v, own, weight_bits)
        normal += (design.T @ design).toarray()
        right += design.T @ np.rint(rows[part.start * cells : part.stop * cells] / unit).astype(np.int64)
    a = allreduce_sum(normal, comm) * 2.0 ** (-2 * weight_bits)
    b = allreduce_sum(right, comm) * (unit * 2.0**-weight_bits)
    ridge = _RIDGE * max(float(np.trace(a)) / len(a), float(np.finfo(float).tiny))
    a[np.diag_indices(len(a))] += ridge
    found = linalg.solve(a, b + ridge * old, assume_a="pos")
    moved: np.ndarray = broadcast_object(found, comm).astype(codebook.dtype).reshape(codebook.shape)
    return moved


def revived(codebook: np.ndarray, counts: np.ndarray, vectors: np.ndarray, rest: np.ndarray, comm: Comm) -> np.ndarray:
    """Return a codebook whose codes without vectors on any rank are the vectors of the finest scale least well met.

    Parameters
    ----------
    codebook : (V, C) array
    counts : (V,) integers
        Vectors of each code on all ranks.
    vectors, rest : (m, C) arrays
        Of the finest scale: what was looked up, and what is left.
    """
    dead = np.flatnonzero(counts == 0)
    if not len(dead):
        return codebook
    squared = np.square(rest.astype(np.float64)).sum(axis=1)
    worst = np.argsort(-squared, kind="stable")[: len(dead)]
    every, chosen = allgather_rows(squared[worst], comm), allgather_rows(vectors[worst], comm)
    order = np.argsort(-every, kind="stable")[: len(dead)]
    found = codebook.copy()
    found[dead[: len(order)]] = chosen[order]
    return found
