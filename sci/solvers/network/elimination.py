"""Exact elimination of the unknowns of a network that have at most two links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.solvers.network.graph import Network
from sci.solvers.network.kernels import run

__all__ = ["Elimination", "chains", "eliminate"]


@dataclass(frozen=True, eq=False)
class Elimination:
    """A network without its chains, and how their unknowns follow from the others.

    Parameters
    ----------
    network : Network
    kept : (k,) int64 array
        Which unknowns stay.
    order : (count,) int32 array
        Unknowns that went, in order.
    near : (count, 2) int32 array
        Ends of their links, -1 where there is none.
    share : (count, 3) array
        Both links over the diagonal, and the inverse of the diagonal.
    """

    network: Network
    kept: np.ndarray
    order: np.ndarray
    near: np.ndarray
    share: np.ndarray


def chains(net: Network) -> float:
    """Return the part of the unknowns that have one or two links."""
    count = np.diff(net.start)
    return float(((count == 1) | (count == 2)).mean()) if net.size else 0.0


def eliminate(net: Network) -> Elimination:
    """Return the network without unknowns of at most two links, which are eliminated one after the other."""
    n = net.size
    index, link, axis = net.index.copy(), net.link.copy(), net.axis.copy()
    fixed, reaction, length = net.fixed.copy(), net.reaction.copy(), np.zeros(n, np.int32)
    order, near, share = np.zeros(n, np.int32), np.full((n, 2), -1, np.int32), np.zeros((n, 3))
    queue, queued, done = np.zeros(n, np.int32), np.zeros(n, np.int8), np.zeros(1, np.int64)
    lists = (net.start, index, link, axis, fixed, reaction, length)
    run("eliminate_chains", *lists, order, near, share, queue, queued, done, n)
    count = int(done[0])
    kept = np.flatnonzero(length >= 0)
    number = np.full(n, -1, dtype=np.int32)
    number[kept] = np.arange(kept.size, dtype=np.int32)
    lengths = length[kept].astype(np.int64)
    start = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(int(start[-1])) + np.repeat(net.start[kept] - start[:-1], lengths)
    fixed, place = (a.take(kept, axis=1) for a in (fixed, net.place))
    rest = Network(start, number[index[places]], link[places], axis[places], fixed, reaction[kept], place)
    return Elimination(rest, kept, order[:count].copy(), near[:count].copy(), share[:count].copy())
