"""Strong links between the nodes of a matrix, and the aggregates that they make."""

from __future__ import annotations

import numpy as np

from sci.kernels import Kernel, block_size, get_kernel, launch, use_compiled
from sci.linalg.sparse.products import multiply_rows, transpose
from sci.linalg.sparse.rows import SparseRows

__all__ = ["aggregates", "indicator", "link_sizes", "node_matrix", "strong_links"]

LONE = 0.1
"""A row whose links sum to at most this part of what its diagonal exceeds them by gets no coarse unknown."""

TIE = 1e-10
"""Part of the threshold by which a link may miss it: which links are strong is not a matter of rounding."""


def aggregation_kernel(name: str, *arguments: object) -> Kernel:
    """Return an instance of a kernel of `sparse/aggregation.cu`."""
    return get_kernel("sparse/aggregation.cu", name, *arguments)


def indicator(groups: np.ndarray, count: int) -> SparseRows:
    """Return the matrix with a one in row i and column groups[i], and no entry where that is -1."""
    inside = groups >= 0
    starts = np.concatenate([[0], np.cumsum(inside)]).astype(np.int64)
    columns = groups[inside].astype(np.int32)
    return SparseRows(starts, columns, np.ones(len(columns)), count)


def node_matrix(A: SparseRows, node_starts: np.ndarray | None) -> SparseRows:
    """Return the Frobenius norms of the blocks between nodes, of which each has consecutive rows; A itself for None."""
    if node_starts is None:
        return A
    count = len(node_starts) - 1
    member = indicator(np.repeat(np.arange(count), np.diff(node_starts)), count)
    squares = multiply_rows(A.with_values(A.values**2), member)
    found = multiply_rows(transpose(member), squares)
    return found.with_values(np.sqrt(found.values))


def link_sizes(A: SparseRows, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest link of each row, -a_ij where `signed` and |a_ij| else, and the sum of |a_ij|, j not i."""
    n = len(A.starts) - 1
    largest, total = np.zeros(n), np.zeros(n)
    kernel = aggregation_kernel("link_sizes", np.float64, signed)
    if use_compiled(kernel, largest):
        launch(kernel, -(-n // block_size(largest)), A.starts, A.columns, A.values, largest, total, n)
    else:
        rows = _row_of_entries(A)
        links = np.where(rows == A.columns, 0.0, -A.values if signed else np.abs(A.values))
        np.maximum.at(largest, rows, links)
        np.add.at(total, rows, np.where(rows == A.columns, 0.0, np.abs(A.values)))
    return largest, total


def strong_links(A: SparseRows, largest: np.ndarray, theta: float, signed: bool) -> np.ndarray:
    """Return a mask, int8, of the links of at least theta sqrt(m_i m_j), m the `largest` of each row."""
    n, root, strong = len(A.starts) - 1, np.sqrt(largest), np.zeros(len(A.columns), np.int8)
    theta *= 1 - TIE
    kernel = aggregation_kernel("strong_links", np.float64, signed)
    if use_compiled(kernel, root):
        launch(kernel, -(-n // block_size(root)), A.starts, A.columns, A.values, root, strong, n, theta)
    else:
        rows = _row_of_entries(A)
        links = -A.values if signed else np.abs(A.values)
        strong[...] = (rows != A.columns) & (links > 0) & (links >= theta * root[rows] * root[A.columns])
    return strong


def aggregates(A: SparseRows, strong: np.ndarray, alone: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the aggregate of each node, -1 where `alone`, and how many there are.

    First each node without a neighbor in an aggregate makes one of itself and its strong neighbors. The others join
    that of their largest strong link, or else make one with their free neighbors; a node without any strong link joins
    that of its largest link.

    Parameters
    ----------
    A : SparseRows
    strong : (entries,) int8 array
    alone : (n,) int8 array

    Returns
    -------
    groups : (n,) int32 array
    count : int

    References
    ----------
    Vanek, Mandel and Brezina, Computing 56, 179 (1996).
    """
    n = len(A.starts) - 1
    groups, count = np.empty(n, np.int32), np.zeros(1, np.int64)
    kernel = aggregation_kernel("aggregate", np.float64)
    if use_compiled(kernel, A.values):
        joined = np.empty(n, np.int32)
        launch(kernel, 1, A.starts, A.columns, A.values, strong, alone, groups, joined, count, n)
        return groups, int(count[0])
    return _aggregates_reference(A, strong, alone)


def _row_of_entries(A: SparseRows) -> np.ndarray:
    return np.repeat(np.arange(len(A.starts) - 1), np.diff(A.starts))


def _aggregates_reference(A: SparseRows, strong: np.ndarray, alone: np.ndarray) -> tuple[np.ndarray, int]:
    """Reference of the kernel, node by node."""
    n, count = len(A.starts) - 1, 0
    groups = np.full(n, -1, np.int32)
    free = [i for i in range(n) if not alone[i]]

    def row(i: int, only_strong: bool = True) -> tuple[np.ndarray, np.ndarray]:
        part = slice(A.starts[i], A.starts[i + 1])
        chosen = (strong[part] > 0) & (alone[A.columns[part]] == 0) if only_strong else A.columns[part] != i
        return A.columns[part][chosen], np.abs(A.values[part][chosen])

    for i in free:
        near, _ = row(i)
        if groups[i] < 0 and len(near) and (groups[near] < 0).all():
            groups[near] = groups[i] = count
            count += 1
    joined = groups.copy()
    for i in free:
        near, sizes = row(i)
        sizes = np.where(groups[near] >= 0, sizes, 0)
        if groups[i] < 0 and sizes.any():
            joined[i] = groups[near[np.argmax(sizes)]]
    groups = joined
    for i in free:
        near, _ = row(i)
        if groups[i] < 0 and len(near):
            groups[near[groups[near] < 0]] = count
            groups[i] = count
            count += 1
    for i in free:
        if groups[i] < 0:
            near, sizes = row(i, False)
            sizes = np.where(groups[near] >= 0, sizes, 0)
            groups[i] = groups[near[np.argmax(sizes)]] if sizes.any() else count
            count += groups[i] == count
    return groups, count
