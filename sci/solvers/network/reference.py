"""References of the kernels of networks, which do the same with the same arguments: the oracle, and slow.

Setup kernels go through unknowns in order, as the compiled ones do; those of the cycle are array calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sci.backend import Array, namespace

__all__ = ["REFERENCES"]

Numbers = np.ndarray


def _sides(p1: int, p2: int) -> list[tuple[int, int, int]]:
    return [(axis, side, side * step) for axis, step in enumerate((p1 * p2, p2, 1)) for side in (-1, 1)]


def grid_links(
    number: Numbers,
    offdiag: Numbers,
    start: Numbers,
    index: Numbers,
    link: Numbers,
    axis: Numbers,
    p0: int,
    p1: int,
    p2: int,
    fill: int,
) -> None:
    """Set the links of a padded grid."""
    numbers = number.reshape(-1)
    # The halo of periodic axes repeats numbers, after the cells themselves, and lies within for odd lengths.
    inner = np.zeros((p0, p1, p2), dtype=bool)
    inner[1:-1, 1:-1, 1:-1] = True
    at = np.flatnonzero(inner.reshape(-1) & (numbers >= 0))
    at = at[np.unique(numbers[at], return_index=True)[1]]
    places, links, axes, valid = [], [], [], []
    for a, side, step in _sides(p1, p2):
        other = at + step
        varies = offdiag.shape[1] > 1
        weight = offdiag[a].reshape(-1)[other if side > 0 else at] if varies else np.ones(at.size)
        places.append(numbers[other])
        links.append(weight)
        axes.append(np.full(at.size, a, dtype=np.int8))
        valid.append((numbers[other] >= 0) & (weight > 0))
    good = np.stack(valid, axis=1)
    start[0], start[1:] = 0, np.cumsum(good.sum(axis=1))
    if fill:
        for out, parts in ((index, places), (link, links), (axis, axes)):
            out[:] = np.stack(parts, axis=1)[good]


def strong_links(
    start: Numbers,
    index: Numbers,
    link: Numbers,
    axis: Numbers,
    rest: Numbers,
    dropped: Numbers,
    largest: Numbers,
    strong: Numbers,
    counts: Numbers,
    n: int,
    theta: float,
) -> None:
    """Mark strong links and unknowns without a coarse one."""
    rows = np.repeat(np.arange(n), np.diff(start))
    dropped[:] = 10 * np.bincount(rows, weights=link, minlength=n) <= rest
    both = (dropped[rows] == 0) & (dropped[index] == 0)
    largest[:] = 0
    np.maximum.at(largest, rows[both], link[both])
    strong[:] = both & (link >= theta * np.sqrt(largest[rows]) * np.sqrt(largest[index]))
    counts[0] += np.bincount(axis[both], minlength=3)
    counts[1] += np.bincount(axis[strong > 0], minlength=3)


def _chain(head: int, following: Numbers) -> list[int]:
    members = []
    while head >= 0:
        members.append(int(head))
        head = following[head]
    return members


def pair_groups(
    start: Numbers,
    index: Numbers,
    link: Numbers,
    axis: Numbers,
    strong: Numbers,
    dropped: Numbers,
    place: Numbers,
    group: Numbers,
    following: Numbers,
    tail: Numbers,
    size: Numbers,
    paired: Numbers,
    sums: Numbers,
    merged: Numbers,
    n: int,
    a: int,
    anywhere: int,
    most: int,
) -> None:
    """Join pairs of groups along an axis."""
    paired[:], merged[:] = 0, 0
    for phase in range(anywhere + 1):
        for head in range(n):
            if group[head] != head or dropped[head] or paired[head]:
                continue
            members = _chain(head, following)
            links = [(i, k) for i in members for k in range(start[i], start[i + 1])]
            found: dict[int, float] = {}
            for i, k in links:
                j = index[k]
                other = int(group[j])
                near = phase == 1 or place[j] >> 1 == place[i] >> 1
                fits = other != head and not paired[other] and size[head] + size[other] <= most
                if strong[k] and axis[k] == a and near and fits:
                    found[other] = found.get(other, 0.0) + link[k]
            if not found:
                continue
            best = max(found, key=lambda other: (found[other], -other))
            for i, k in links:
                if axis[k] == a and group[index[k]] == best:
                    merged[i] += link[k]
                    merged[index[k]] += link[k]
            first, second = sorted((head, best))
            paired[[first, second]] = 1
            group[_chain(second, following)] = first
            following[tail[first]] = second
            tail[first] = tail[second]
            size[first] += size[second]


def attach_singles(
    start: Numbers,
    index: Numbers,
    link: Numbers,
    dropped: Numbers,
    order: Numbers,
    group: Numbers,
    attached: Numbers,
    singles: int,
) -> None:
    """Let singles join the group of their largest link."""
    for i in order:
        own = np.arange(start[i], start[i + 1])
        own = own[dropped[index[own]] == 0]
        if own.size:
            j = index[own[np.argmax(link[own])]]
            if not attached[j]:
                group[i], attached[i] = group[j], 1


def _bent(x: Numbers) -> Numbers:
    return np.asarray(x / (1 + np.abs(x)))


def group_resistances(
    start: Numbers,
    link: Numbers,
    strong: Numbers,
    rest: Numbers,
    group: Numbers,
    size: Numbers,
    largest: Numbers,
    attached: Numbers,
    merged: Numbers,
    counts: Numbers,
    resistance: Numbers,
    numbers: Numbers,
    n: int,
    most: int,
    links: int,
    middle: float,
    half: float,
) -> None:
    """Set the resistances to the middle of each group."""
    rows = np.repeat(np.arange(n), np.diff(start))
    total, held = (np.bincount(rows, weights=w, minlength=n) for w in (link, link * strong))
    missing = np.maximum(1 - np.bincount(rows, weights=strong, minlength=n) / links, 0)
    safe, own = np.where(total > 0, total, 1), merged.sum(axis=0)
    x = [missing, (total > 0) * (1 - held / safe), (total > 0) * rest / (safe + rest), 1 - size[group] / most]
    for a in range(3):
        counts[a] += np.bincount(group[merged[a] > 0], minlength=n)
        extent = counts[a][group]
        features = np.stack([1 - extent / size[group], *x])
        aside, joined = numbers[0] + numbers[1:6] @ features, half * _bent(numbers[6:] @ features)
        halves = np.divide(0.5, merged[a], out=np.zeros(n), where=merged[a] > 0) * (1 + joined) / (1 - joined)
        beside = np.divide(middle * _bent(np.maximum(aside, 0)), own, out=np.zeros(n), where=(own > 0) & (extent > 0))
        resistance[a] = np.where(merged[a] > 0, halves, beside)
    resistance[:, attached > 0] = 1 / largest[attached > 0]


def coarse_links(
    start: Numbers,
    index: Numbers,
    link: Numbers,
    axis: Numbers,
    dropped: Numbers,
    group: Numbers,
    resistance: Numbers,
    fixed: Numbers,
    reaction: Numbers,
    begins: Numbers,
    member: Numbers,
    mark: Numbers,
    cstart: Numbers,
    cindex: Numbers,
    clink: Numbers,
    caxis: Numbers,
    cfixed: Numbers,
    creaction: Numbers,
    n: int,
    groups: int,
) -> None:
    """Set the coarse network."""
    count = 0
    seen: dict[tuple[int, int, int], int] = {}
    for big in range(groups):
        own: dict[tuple[int, int], float] = {}
        for i in member[begins[big] : begins[big + 1]]:
            creaction[big] += reaction[i]
            for a in range(3):
                cfixed[a, big] += fixed[a, i] / (1 + fixed[a, i] * resistance[a, i])
            for k in range(start[i], start[i + 1]):
                j, a = index[k], int(axis[k])
                if dropped[j]:
                    cfixed[a, big] += link[k] / (1 + link[k] * resistance[a, i])
                elif group[j] != big:
                    series = link[k] / (1 + link[k] * (resistance[a, i] + resistance[a, j]))
                    own[int(group[j]), a] = own.get((int(group[j]), a), 0.0) + series
        for (other, a), value in own.items():
            cindex[count], caxis[count], clink[count] = other, a, value
            if other < big:
                clink[count] = clink[seen[other, big, a]]
            seen[big, other, a] = count
            count += 1
        cstart[big + 1] = count


def interpolation_rows(
    start: Numbers,
    index: Numbers,
    link: Numbers,
    strong: Numbers,
    dropped: Numbers,
    attached: Numbers,
    group: Numbers,
    fixed: Numbers,
    diagonal: Numbers,
    mark: Numbers,
    pstart: Numbers,
    pindex: Numbers,
    pvalue: Numbers,
    n: int,
    groups: int,
    own: float,
    fill: int,
) -> None:
    """Set the rows of the interpolation."""

    def row(i: int, factor: float, found: dict[int, float]) -> None:
        if dropped[i]:
            return
        links = range(start[i], start[i + 1])
        terms = fixed[i] + sum(link[k] for k in links if dropped[index[k]] or strong[k])
        found[int(group[i])] = found.get(int(group[i]), 0.0) + factor * (own if terms > 0 else 1.0)
        for k in links:
            if strong[k]:
                column = int(group[index[k]])
                found[column] = found.get(column, 0.0) + (1 - own) * factor * link[k] / terms

    count = 0
    for i in range(n):
        found: dict[int, float] = {}
        if attached[i]:
            for k in range(start[i], start[i + 1]):
                row(int(index[k]), link[k] / diagonal[i], found)
        else:
            row(i, 1.0, found)
        if fill:
            pindex[count : count + len(found)] = list(found)
            pvalue[count : count + len(found)] = list(found.values())
        count += len(found)
        pstart[i + 1] = count


def eliminate_chains(
    start: Numbers,
    index: Numbers,
    link: Numbers,
    axis: Numbers,
    fixed: Numbers,
    reaction: Numbers,
    length: Numbers,
    order: Numbers,
    near: Numbers,
    share: Numbers,
    queue: Numbers,
    queued: Numbers,
    done: Numbers,
    n: int,
) -> None:
    """Eliminate unknowns with at most two links."""
    links: list[list[list[Any]]] = [[] for _ in range(n)]

    def join(i: int, j: int, value: float, label: int) -> None:
        for entry in links[i]:
            if entry[0] == j:
                entry[2] = label if value > entry[1] else entry[2]
                entry[1] += value
                return
        links[i].append([j, value, label])

    def cut(i: int, j: int) -> None:
        k = next(k for k, entry in enumerate(links[i]) if entry[0] == j)
        links[i][k] = links[i][-1]
        links[i].pop()

    for i in range(n):
        for k in range(start[i], start[i + 1]):
            join(i, int(index[k]), float(link[k]), int(axis[k]))
    waiting = [i for i in range(n) if len(links[i]) <= 2]
    there, gone, count = set(waiting), np.zeros(n, dtype=bool), 0
    while waiting:
        i = waiting.pop(0)
        there.discard(i)
        if gone[i] or len(links[i]) > 2:
            continue
        ends, own = links[i], float(fixed[:, i].sum() + reaction[i])
        d = own + sum(value for _, value, _ in ends)
        order[count], near[count], share[count] = i, -1, 0
        share[count, 2] = 1 / d if d > 0 else 0.0
        for side, (j, value, label) in enumerate(ends):
            near[count, side], share[count, side] = j, value / d
            fixed[label, j] += value / d * own
            cut(j, i)
        if len(ends) == 2:
            (j, g, first), (h, other, second) = ends
            through, label = g * (other / d), first if g <= other else second
            join(j, h, through, label)
            join(h, j, through, label)
        gone[i] = True
        count += 1
        for j, _, _ in ends:
            if len(links[j]) <= 2 and j not in there and not gone[j]:
                waiting.append(j)
                there.add(j)
    done[0] = count
    length[:] = [-1 if gone[i] else len(links[i]) for i in range(n)]
    for i in np.flatnonzero(~gone).tolist():
        for k, entry in enumerate(links[i], int(start[i])):
            index[k], link[k], axis[k] = entry


def eliminate_source(order: Numbers, near: Numbers, share: Numbers, f: Numbers, count: int) -> None:
    """Move the right-hand side of eliminated unknowns to their neighbors."""
    for i, ends, shares in zip(order, near, share):
        for j, part in zip(ends, shares):
            if j >= 0:
                f[j] += part * f[i]


def eliminated_values(order: Numbers, near: Numbers, share: Numbers, f: Numbers, u: Numbers, count: int) -> None:
    """Set eliminated unknowns from their neighbors."""
    for i, ends, shares in zip(order[::-1], near[::-1], share[::-1]):
        u[i] = shares[2] * f[i] + sum(part * u[j] for j, part in zip(ends, shares) if j >= 0)


def _row_sums(start: Array, terms: Array, n: int) -> Array:
    xp = namespace(terms)
    rows = xp.repeat(xp.arange(n), xp.diff(start).tolist()) if xp is not np else np.repeat(np.arange(n), np.diff(start))
    return xp.bincount(rows, weights=terms, minlength=n).astype(terms.dtype)


def add_rows(start: Array, index: Array, value: Array, x: Array, place: Array, y: Array, n: int) -> None:
    """Set y[place] += A x."""
    y[place] += _row_sums(start, value * x[index], n)


def network_residual(
    start: Array, index: Array, value: Array, rest: Array, u: Array, f: Array, out: Array, n: int
) -> None:
    """Set out = f - A u."""
    xp = namespace(u)
    rows = xp.repeat(xp.arange(n), xp.diff(start).tolist()) if xp is not np else np.repeat(np.arange(n), np.diff(start))
    out[...] = f - rest * u - _row_sums(start, value * (u[rows] - u[index]), n)


def relax_network(
    start: Array,
    index: Array,
    value: Array,
    rest: Array,
    inverse: Array,
    u: Array,
    f: Array,
    out: Array,
    n: int,
    damping: float,
) -> None:
    """Set out = u + damping inverse (f - A u)."""
    left = u * 0
    network_residual(start, index, value, rest, u, f, left, n)
    out[...] = u + u.dtype.type(damping) * inverse * left


REFERENCES: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        *(grid_links, strong_links, pair_groups, attach_singles, group_resistances, coarse_links, interpolation_rows),
        eliminate_chains,
        *(eliminate_source, eliminated_values, add_rows, network_residual, relax_network),
    )
}
