"""Closed components of the fluid: the constants on each of them span the null space of the operator."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.distributed import allgather_rows, allreduce_sum
from sci.distributed.communicators import Comm, rank_of
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.grid import Layout

__all__ = ["Components", "closed_components"]


class Components:
    """Connected components of the fluid that touch no Dirichlet face.

    Parameters
    ----------
    labels : (*box) int64 array
        Number of the closed component of each cell, from 1; 0 in other cells.
    sizes : (count,) float64 array
        Cells of each component on all ranks.
    grid : Grid
    """

    def __init__(self, labels: Array, sizes: Array, grid: Grid) -> None:
        self.labels, self.sizes, self.grid = labels, sizes, grid

    @property
    def count(self) -> int:
        """Dimension of the null space."""
        return int(self.sizes.size)

    def sums(self, values: Array, labels: Array) -> Array:
        """Return the sum of an array over each component; collective."""
        xp = namespace(values)
        own = xp.bincount(labels.reshape(-1), weights=values.reshape(-1), minlength=self.count + 1)[1:]
        return self.grid.totals(own)

    def shift(self, values: Array, labels: Array) -> Array:
        """Return the mean of `values` over the component of each entry, 0 outside of components; collective."""
        xp = namespace(values)
        means = xp.concatenate([xp.zeros(1), self.sums(values, labels) / self.sizes])
        return means[labels]


def closed_components(grid: Grid, fluid: Array, touching: Array, offdiag: Array | None = None) -> Components | None:
    """Find the closed components over the ranks; None where there are none.

    Parameters
    ----------
    grid : Grid
    fluid : (*box) bool array
    touching : (*box) bool array
        Cells that touch a Dirichlet face.
    offdiag : (3, *padded) array, optional
        Weight of the face between a cell and the one before it, where some between fluid cells may be zero.

    Notes
    -----
    Collective. Labels the cells of each box on the host, and joins labels that meet across periodic walls and between
    boxes on all ranks alike.
    """
    from scipy import ndimage

    xp, layout, comm = namespace(fluid), grid.layout, grid.comm
    open_ = None if offdiag is None else to_host(offdiag) > 0
    own, count = ndimage.label(to_host(fluid)) if open_ is None else _linked(to_host(fluid), open_, layout)
    own, total = _numbered(own, int(count), comm)
    padded = layout.zeros(xp, np.int64)
    padded[layout.box_view] = to_device(own, xp)
    around = to_host(grid.fill(padded))[layout.halo_view]
    group = _groups(allgather_rows(_meetings(around, open_, layout), comm), total)
    # A group is open if one of its cells on any rank touches a Dirichlet face.
    labels = group[own]
    parts = int(group.max(initial=0)) + 1
    tally = np.stack(
        [np.bincount(labels.ravel(), minlength=parts), np.bincount(labels[to_host(touching)], minlength=parts)]
    )
    sizes, touches = allreduce_sum(tally, comm)
    closed = np.flatnonzero((sizes > 0) & (touches == 0) & (np.arange(parts) > 0))
    if closed.size == 0:
        return None
    number = np.zeros(parts, dtype=np.int64)
    number[closed] = np.arange(1, closed.size + 1)
    return Components(to_device(number[labels], xp), to_device(sizes[closed].astype(np.float64), xp), grid)


def _numbered(labels: np.ndarray, count: int, comm: Comm) -> tuple[np.ndarray, int]:
    """Return labels that differ between ranks, and how many there are on all ranks."""
    counts = allgather_rows(np.array([[count]]), comm)[:, 0]
    before = int(counts[: rank_of(comm)].sum())
    return np.where(labels > 0, labels + before, 0).astype(np.int64), int(counts.sum())


def _linked(fluid: np.ndarray, open_: np.ndarray, layout: Layout) -> tuple[np.ndarray, int]:
    """Return the labels of the cells of a box, from 1, that open faces connect, and how many there are."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    number = np.full(fluid.shape, -1)
    number[fluid] = np.arange(int(fluid.sum()))
    pairs = [np.zeros((2, 0), dtype=np.int64)]
    for axis in range(fluid.ndim):
        own = np.moveaxis(number, axis, 0)
        face = np.moveaxis(open_[axis + 3 - fluid.ndim][layout.box_view], axis, 0)[1:]
        both = face & (own[1:] >= 0) & (own[:-1] >= 0)
        pairs.append(np.stack([own[1:][both], own[:-1][both]]))
    rows, columns = np.concatenate(pairs, axis=1)
    n = int(fluid.sum())
    graph = sparse.coo_matrix((np.ones(rows.size), (rows, columns)), shape=(n, n))
    count, found = connected_components(graph, directed=False)
    labels = np.zeros(fluid.shape, dtype=np.int64)
    labels[fluid] = found + 1
    return labels, int(count)


def _meetings(labels: np.ndarray, open_: np.ndarray | None, layout: Layout) -> np.ndarray:
    """Return the pairs (n, 2) of labels that meet across the open faces of a box with its halo."""
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for axis, n in enumerate(labels.shape):
        for inside, outside in ((1, 0), (n - 2, n - 1)):
            key = [slice(1, m - 1) for m in labels.shape]
            here, there = list(key), list(key)
            here[axis], there[axis] = slice(inside, inside + 1), slice(outside, outside + 1)
            both = np.stack([labels[tuple(here)].ravel(), labels[tuple(there)].ravel()], axis=1)
            meet = (both > 0).all(axis=1)
            if open_ is not None:
                # A face is held at the cell after it.
                after = here if outside < inside else there
                meet &= open_[axis + 3 - labels.ndim][layout.halo_view][tuple(after)].ravel()
            pairs.append(np.unique(both[meet], axis=0))
    return np.concatenate(pairs)


def _groups(pairs: np.ndarray, count: int) -> np.ndarray:
    """Return the group (count + 1,) of each label from 0 to count; label 0 alone is group 0."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count + 1, count + 1))
    group = connected_components(graph, directed=False)[1]
    result: np.ndarray = np.unique(np.concatenate([[-1], group[1:]]), return_inverse=True)[1]
    return result
