"""Seeded inputs for products with weights of codes: whole and partial tiles, units and groups of neurons."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import sci
from sci.kernels import block_size
from sci.nn import CodedWeight, pack_codes

Pair = tuple[np.ndarray, np.ndarray]
BLOCK = block_size(np.empty(0))
SHAPES = (
    (1, 1, 1, 1, 1),
    (1, 3, BLOCK, 32, 1),
    (2, 13, BLOCK + 1, 33, 3),
    (1, 2, 2 * BLOCK, 31, 4),
    (3, 29, 3 * BLOCK - 1, 300, 2),
)
"""Matrices, rows of inputs, rows and columns of a matrix, groups."""


def coded(
    rng: np.random.Generator, matrices: int, rows: int, columns: int, n_groups: int, bits: int, dtype: str
) -> CodedWeight:
    """Return a random weight (matrices rows, columns)."""
    codes = rng.integers(0, 1 << bits, (matrices * rows, columns))
    books = rng.normal(size=(n_groups, 1 << bits)).astype(dtype)
    groups = rng.integers(0, n_groups, matrices * rows)
    return CodedWeight(codes.shape, pack_codes(codes, bits), books, groups, bits)


def _products(rng: np.random.Generator, dtype: str, bits: int) -> Iterator[Pair]:
    for matrices, n, rows, columns, n_groups in SHAPES:
        weight = coded(rng, matrices, rows, columns, n_groups, bits, dtype)
        x = rng.normal(size=(matrices, n, columns)).astype(dtype)
        with sci.options(kernels="compiled"):
            found = weight.product(x, matrices)
        with sci.options(kernels="reference"):
            yield found, weight.product(x, matrices)


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {"decode_product": _products}
