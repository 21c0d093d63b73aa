"""Closed parts of a fluid that is cut into boxes: they span the kernel of a singular operator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.distributed import allgather_rows, allreduce_sum
from sci.distributed.communicators import Comm

__all__ = ["SharedComponents", "shared_components"]


class SharedComponents:
    """Parts of the fluid that touch no Dirichlet face.

    Parameters
    ----------
    labels : (*box) int64 array
        Number of the closed part of each cell, from 1; 0 in other cells.
    sizes : (parts,) array
        Cells of each part on all ranks.
    comm : mpi4py communicator, optional
    """

    def __init__(self, labels: Array, sizes: Array, comm: Comm) -> None:
        self.labels, self.sizes, self.comm = labels, sizes, comm

    def sums(self, cells: Array) -> Array:
        """Return the sum of a grid array over each part; collective."""
        xp = namespace(cells)
        own = xp.bincount(self.labels.reshape(-1), weights=cells.reshape(-1), minlength=self.sizes.size + 1)[1:]
        return allreduce_sum(own, self.comm, checked=True)

    def project(self, cells: Array) -> None:
        """Subtract the mean over each part from a view of a grid array, in place; collective."""
        xp = namespace(cells)
        means = xp.concatenate([xp.zeros(1), self.sums(cells) / self.sizes])
        cells -= means[self.labels].astype(cells.dtype)


def shared_components(
    fluid: Array, touching: Array, fill: Callable[[Array], Array], comm: Comm
) -> SharedComponents | None:
    """Find the closed parts over the ranks; None where there are none.

    Parameters
    ----------
    fluid : (*padded) bool array
        This rank's box of the fluid with a layer around it, which is not read.
    touching : (*box) bool array
        Cells that touch a Dirichlet face.
    fill : callable
        Brings the layers of a padded array up to date.
    comm : mpi4py communicator, optional

    Notes
    -----
    Collective. Labels the cells of each box on the host, and joins labels that meet across faces on all ranks alike.
    """
    from scipy import ndimage

    xp, inner = namespace(fluid), tuple(slice(1, n + 1) for n in touching.shape)
    own, count = ndimage.label(to_host(fluid[inner]))
    counts = allgather_rows(np.array([[count]]), comm)[:, 0]
    rank = 0 if comm is None else comm.Get_rank()
    own = np.where(own > 0, own + int(counts[:rank].sum()), 0).astype(np.int64)
    padded = xp.zeros(fluid.shape, dtype=np.int64)
    padded[inner] = to_device(own, xp)
    joined = allgather_rows(_meetings(to_host(fill(padded)), own.shape), comm)
    group = _groups(joined, int(counts.sum()))
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
    return SharedComponents(to_device(number[labels], xp), to_device(sizes[closed].astype(np.float64), xp), comm)


def _meetings(padded: np.ndarray, lengths: tuple[int, ...]) -> np.ndarray:
    """Return the pairs (n, 2) of labels that meet across the faces of a box."""
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for axis, n in enumerate(lengths):
        for inside, outside in ((1, 0), (n, n + 1)):
            key = [slice(1, m + 1) for m in lengths]
            here, there = list(key), list(key)
            here[axis], there[axis] = slice(inside, inside + 1), slice(outside, outside + 1)
            both = np.stack([padded[tuple(here)].ravel(), padded[tuple(there)].ravel()], axis=1)
            pairs.append(np.unique(both[(both > 0).all(axis=1)], axis=0))
    return np.concatenate(pairs)


def _groups(pairs: np.ndarray, count: int) -> np.ndarray:
    """Return the group (count + 1,) of each label from 0 to count; label 0 alone is group 0."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count + 1, count + 1))
    group = connected_components(graph, directed=False)[1]
    result: np.ndarray = np.unique(np.concatenate([[-1], group[1:]]), return_inverse=True)[1]
    return result
