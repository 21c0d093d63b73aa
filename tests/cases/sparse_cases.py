"""Seeded sparse matrices for the kernels of rows and products, and of the setup of algebraic multigrid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse

import sci
from sci.linalg.sparse.products import multiply_rows, scaled, transpose
from sci.linalg.sparse.rows import SparseRows
from sci.solvers.algebraic.aggregation import aggregates, indicator, link_sizes, strong_links
from sci.solvers.algebraic.prolongation import local_bases, smoothing_matrix

Pair = tuple[np.ndarray, np.ndarray]


def random_sparse(rows: int, columns: int, density: float, seed: int) -> sparse.csr_array:
    """Return a matrix with numbers from 0 to 1 in a share of its entries."""
    rng = np.random.default_rng(seed)
    return sparse.csr_array(rng.random((rows, columns)) * (rng.random((rows, columns)) < density))


def network(n: int, density: float, seed: int) -> sparse.csr_array:
    """Return a random M-matrix with a positive diagonal; rows without a link are among them."""
    links = random_sparse(n, n, density, seed).toarray()
    links = np.triu(links, 1) + np.triu(links, 1).T
    diagonal = links.sum(axis=1) + np.random.default_rng(seed + 1).random(n)
    return sparse.csr_array(np.diag(diagonal) - links)


def matrices(dtype: Any = np.float64) -> Iterator[SparseRows]:
    """Yield matrices of one row, of blocks not filled, of several blocks, with rows of one entry and long ones."""
    for n, density in ((1, 1.0), (7, 0.3), (40, 0.1), (130, 0.02), (260, 0.05), (600, 0.004)):
        yield SparseRows.of(network(n, density, n), dtype)


def both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


def _of_rows(name: str) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
        for A in matrices(dtype):
            n = len(A.starts) - 1
            inverse = 1 / A.to_scipy().diagonal()
            b, x = (rng.normal(size=n).astype(dtype) for _ in range(2))

            def run(A: SparseRows = A, n: int = n, inverse: Any = inverse, b: Any = b, x: Any = x) -> np.ndarray:
                out, room, rest = (np.full(n, np.nan, dtype) for _ in range(3))
                if name == "combine":
                    A.combine(x, out, out, 0.0, 0.5)
                    rest[...] = b
                    A.combine(x, rest, rest, 2.0, -0.5)
                elif name == "relax":
                    A.relax(inverse, b, x, out, 0.7)
                    rest[...] = 0
                elif name == "sweep":
                    out[...], rest[...] = x, 0
                    A.sweep(inverse, b, out, room)
                else:
                    A.sweep_from_zero(inverse, b, out, room, rest)
                return np.concatenate([out, rest])

            yield both(run)

    return cases


def _products(rng: np.random.Generator, *_: Any) -> Iterator[Pair]:
    for A in matrices():
        n = len(A.starts) - 1
        B = SparseRows.of(random_sparse(n, n // 2 + 1, 0.1, n))
        yield both(lambda A=A, B=B: multiply_rows(A, B).to_scipy().toarray())


def _transposes(rng: np.random.Generator, *_: Any) -> Iterator[Pair]:
    for A in matrices():
        B = SparseRows.of(A.to_scipy()[:, : A.width // 2 + 1])
        yield both(lambda B=B: transpose(B).to_scipy().toarray())


def _scalings(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for A in matrices():
        left, right = rng.random(A.width), rng.random(A.width)
        yield both(lambda A=A, left=left, right=right: scaled(A, left, right, dtype).values)


BY_DTYPE = {
    "rows.combine": _of_rows("combine"),
    "rows.relax": _of_rows("relax"),
    "rows.sweep": _of_rows("sweep"),
    "rows.sweep_from_zero": _of_rows("sweep_from_zero"),
    "scale_rows": _scalings,
}
CASES = {"product_counts": _products, "product_values": _products, "transpose_rows": _transposes}


def _links(rng: np.random.Generator, dtype: str, signed: int) -> Iterator[Pair]:
    for A in matrices():
        yield both(lambda A=A: np.concatenate(link_sizes(A, bool(signed))))


def _strong(rng: np.random.Generator, dtype: str, signed: int) -> Iterator[Pair]:
    for A in matrices():
        largest, _ = link_sizes(A, bool(signed))
        yield both(lambda A=A, m=largest: strong_links(A, m, 0.5, bool(signed)).astype(float))


def _aggregates(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for A in matrices():
        strong = strong_links(A, link_sizes(A, True)[0], 0.5, True)
        alone = (rng.random(A.width) < 0.1).astype(np.int8)

        def run(A: SparseRows = A, strong: np.ndarray = strong, alone: np.ndarray = alone) -> np.ndarray:
            groups, count = aggregates(A, strong, alone)
            return np.append(groups, count).astype(float)

        yield both(run)


def _bases(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for n, groups, k in ((1, 1, 1), (20, 3, 2), (50, 7, 3), (300, 40, 6), (9, 9, 3)):
        members = transpose(indicator(rng.integers(-1, groups, n).astype(np.int32), groups))
        vectors = rng.normal(size=(n, k))
        vectors[:, -1] = vectors[:, 0] if k > 1 else vectors[:, -1]
        yield both(lambda m=members, v=vectors: np.concatenate([a.ravel() for a in local_bases(m, v)]))


def _smoothing(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for A in matrices():
        strong, b = strong_links(A, link_sizes(A, True)[0], 0.7, True), rng.random(A.width) + 0.5
        yield both(lambda A=A, s=strong, b=b: smoothing_matrix(A, s, b, 1.5).to_scipy().toarray())


BY_DTYPE |= {
    "aggregation.link_sizes": _links,
    "aggregation.strong_links": _strong,
    "aggregation.aggregate": _aggregates,
    "aggregation.local_bases": _bases,
    "aggregation.smoothing_rows": _smoothing,
}
