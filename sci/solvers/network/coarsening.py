"""One step from a network to a coarser one: groups of unknowns, links in series and parallel, interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.solvers.network.graph import Network
from sci.solvers.network.kernels import run
from sci.solvers.network.numbers import BOUNDS, PLAIN, NetworkNumbers

__all__ = ["Coarsening", "active_axes", "coarsen"]

LARGEST_GROUP = 8


@dataclass(frozen=True, eq=False)
class Coarsening:
    """A coarser network and the interpolation from it.

    Parameters
    ----------
    network : Network
    group : (n,) int32 array
        Coarse unknown of each unknown, -1 where it has none.
    start, index, value : arrays
        Rows of the interpolation.
    axes : tuple of bool
        Axes that were coarsened.
    split : bool
        Whether some cell of the coarse grid holds several unknowns.
    """

    network: Network
    group: np.ndarray
    start: np.ndarray
    index: np.ndarray
    value: np.ndarray
    axes: tuple[bool, ...]


def active_axes(counts: np.ndarray) -> tuple[bool, ...]:
    """Return the axes to be coarsened: those with at least half of the largest part of strong links."""
    fraction = counts[1] / np.maximum(counts[0], 1)
    return tuple(bool(f > 0 and f >= 0.5 * fraction.max()) for f in fraction)


def coarsen(net: Network, anywhere: bool = False, numbers: NetworkNumbers = PLAIN) -> Coarsening:
    """Return the next coarser network.

    Parameters
    ----------
    net : Network
    anywhere : bool
        Whether groups join beyond the pairs of cells of a grid, as after an elimination.
    numbers : NetworkNumbers
    """
    n, m = net.size, net.index.size
    dropped, strong = np.zeros(n, np.int8), np.zeros(m, np.int8)
    largest, counts = np.zeros(n), np.zeros((2, 3), np.int64)
    rest = net.rest
    run(
        "strong_links",
        net.start,
        net.index,
        net.link,
        net.axis,
        rest,
        dropped,
        largest,
        strong,
        counts,
        n,
        numbers.strong,
    )
    axes = active_axes(counts)
    links = (strong, dropped, largest, rest)
    group, resistance, attached = _groups(net, axes, *links, anywhere, numbers.resistances)
    heads = np.flatnonzero((group == np.arange(n)) & (dropped == 0))
    number = np.full(n, -1, dtype=np.int32)
    number[heads] = np.arange(heads.size, dtype=np.int32)
    group = np.where(dropped, np.int32(-1), number[group])
    coarse = _coarse_network(net, group, resistance, dropped, heads, axes)
    fixed, diagonal = net.fixed.sum(axis=0), net.links_sum + rest
    mark = np.full(heads.size, -1, dtype=np.int64)
    given = (net.start, net.index, net.link, strong, dropped, attached, group, fixed, diagonal)
    start, index, value = np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0)
    run("interpolation_rows", *given, mark, start, index, value, n, heads.size, numbers.own, 0)
    mark[:] = -1
    index, value = np.empty(int(start[-1]), np.int32), np.empty(int(start[-1]))
    run("interpolation_rows", *given, mark, start, index, value, n, heads.size, numbers.own, 1)
    return Coarsening(coarse, group, start, index, value, axes)


def _groups(
    net: Network,
    axes: tuple[bool, ...],
    strong: np.ndarray,
    dropped: np.ndarray,
    largest: np.ndarray,
    rest: np.ndarray,
    anywhere: bool,
    numbers: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first unknown of the group of each, the resistances to its middle, and which are attached."""
    n = net.size
    group, next_, last = np.arange(n, dtype=np.int32), np.full(n, -1, np.int32), np.arange(n, dtype=np.int32)
    size, paired, sums = np.ones(n, np.int32), np.zeros(n, np.int8), np.zeros(n)
    merged, resistance = np.zeros((3, n)), np.zeros((3, n))
    links = (net.start, net.index, net.link, net.axis, strong, dropped)
    for a in range(3):
        if not axes[a]:
            continue
        chains = (group, next_, last, size, paired, sums, merged[a])
        run("pair_groups", *links, net.place[a], *chains, n, a, int(anywhere), LARGEST_GROUP)
    # An unknown alone without a strong link.
    alone = (size == 1) & (group == np.arange(n)) & (dropped == 0) & (largest > 0)
    if net.index.size:
        rows = np.repeat(np.arange(n), np.diff(net.start))
        alone[rows[strong > 0]] = False
    singles = np.flatnonzero(alone)
    singles = singles[np.argsort(-largest[singles], kind="stable")]
    attached = np.zeros(n, np.int8)
    run("attach_singles", net.start, net.index, net.link, dropped, singles, group, attached, singles.size)
    given = (net.start, net.link, strong, rest, group, size, largest, attached, merged, np.zeros((3, n), np.int64))
    full = (2 ** sum(axes), 2 * max(1, sum(axes)))
    run("group_resistances", *given, resistance, numbers, n, *full, *BOUNDS)
    return group, resistance, attached


def _coarse_network(
    net: Network,
    group: np.ndarray,
    resistance: np.ndarray,
    dropped: np.ndarray,
    heads: np.ndarray,
    axes: tuple[bool, ...],
) -> Network:
    n, m, groups = net.size, net.index.size, heads.size
    member = np.argsort(group, kind="stable").astype(np.int32)
    member = member[int((group < 0).sum()) :]
    first = np.concatenate([[0], np.cumsum(np.bincount(group[member], minlength=groups))]).astype(np.int64)
    mark = np.full((groups, 3), -1, dtype=np.int64)
    start, index, link, axis = np.zeros(groups + 1, np.int64), np.empty(m, np.int32), np.empty(m), np.empty(m, np.int8)
    fixed, reaction = np.zeros((3, groups)), np.zeros(groups)
    given = (net.start, net.index, net.link, net.axis, dropped, group, resistance, net.fixed, net.reaction)
    run("coarse_links", *given, first, member, mark, start, index, link, axis, fixed, reaction, n, groups)
    end = int(start[-1])
    place = net.place.take(heads, axis=1) >> np.array(axes, dtype=np.int32)[:, None]
    return Network(start, index[:end].copy(), link[:end].copy(), axis[:end].copy(), fixed, reaction, place)
