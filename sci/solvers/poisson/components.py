"""Parts of the fluid that touch no Dirichlet face: each gives one constant in the kernel of the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sci.backend import Array, to_device, to_host

if TYPE_CHECKING:
    from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["closed_components"]


def closed_components(operator: PoissonOperator) -> tuple[Array, Array]:
    """Return the number of the closed part of each unknown, from 1, 0 in the others, and the sizes of the parts.

    Parameters
    ----------
    operator : PoissonOperator
        With its mask, walls and Dirichlet weights.

    Returns
    -------
    labels : (n,) int64
        Empty, like the sizes, where every wall and body is Dirichlet.
    sizes : (parts,) float64

    Notes
    -----
    Not collective. Labels connected cells on the host; nothing is labeled where every wall and body is Dirichlet.
    """
    xp = operator.xp
    conditions = {name for pair in operator.walls for name in pair}
    if conditions == {"dirichlet"} and not bool(operator.insulating.any()):
        return xp.zeros(0, dtype=np.int64), xp.zeros(0)
    mask, dirichlet = to_host(operator.mask), to_host(operator.dirichlet)
    labels, count = _labels(mask, operator.periodic)
    open_parts = np.unique(labels[(dirichlet > 0) & mask])
    number = np.zeros(count + 1, dtype=np.int64)
    closed = np.setdiff1d(np.arange(1, count + 1), open_parts)
    number[closed] = np.arange(1, closed.size + 1)
    flat = number[labels[mask]]
    sizes = np.bincount(flat, minlength=closed.size + 1)[1:].astype(np.float64)
    return to_device(flat, xp), to_device(sizes, xp)


def _labels(mask: np.ndarray, periodic: tuple[bool, ...]) -> tuple[np.ndarray, int]:
    """Return the connected parts of `mask` over faces, those across periodic walls joined."""
    from scipy import ndimage, sparse
    from scipy.sparse.csgraph import connected_components

    labels, count = ndimage.label(mask)
    pairs = []
    for axis, wraps in enumerate(periodic):
        if wraps:
            low, high = np.take(labels, 0, axis).ravel(), np.take(labels, -1, axis).ravel()
            both = (low > 0) & (high > 0)
            pairs.append(np.stack([low[both], high[both]]))
    if not pairs:
        return labels, int(count)
    joined = np.concatenate(pairs, axis=1)
    ones = np.ones(joined.shape[1])
    graph = sparse.coo_matrix((ones, (joined[0], joined[1])), shape=(count + 1, count + 1))
    _, group = connected_components(graph, directed=False)
    # Solid cells are label 0 and stand alone: their group becomes 0, the others follow.
    order = np.unique(group[1:], return_inverse=True)[1] + 1 if count else np.zeros(0, dtype=int)
    return np.concatenate([[0], order])[labels], int(order.max(initial=0))
