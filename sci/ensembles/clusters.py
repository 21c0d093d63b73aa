"""k-means with the same labels on any number of ranks, and the selection of points by their distance to a center."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy import sparse

from sci.arguments import collective_entry, entry
from sci.backend import Array, as_finite, namespace, to_device, to_host
from sci.distributed import Comm, agreed, allgather_rows, allreduce_sum, rank_of
from sci.ensembles.sums import units_of_sums
from sci.errors import InvalidValueError
from sci.linalg import PackedPoints, nearest
from sci.progress import progress

__all__ = ["Clusters", "Mode", "Selection", "k_means", "prototype_scores", "select"]

_PART = 2**17
"""Coordinates that are turned into integers at once."""
Mode: TypeAlias = Literal["hard", "easy"]
"""Which points are selected: those with the largest scores, or those with the smallest."""


@dataclass(frozen=True)
class Clusters:
    """Centers of clusters and the points that belong to them.

    Parameters
    ----------
    centers : (k, D) array
    labels : (n,) int64 array
        Center of each of this rank's points.
    squared : (n,) array
        Squared distance of each of this rank's points to its center.
    inertia : float
        Sum of the squared distances of all points.
    iterations : int
        Rounds of assignment that were made.
    converged : bool
        Whether the last iteration changed no label.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import Clusters
    >>> found = Clusters(np.zeros((1, 2)), np.zeros(5, dtype=int), np.ones(5), 5.0, 1, True)
    >>> found.centers.shape
    (1, 2)
    """

    centers: Array
    labels: Array
    squared: Array
    inertia: float
    iterations: int
    converged: bool

    def __repr__(self) -> str:
        k, d = self.centers.shape
        end = "converged" if self.converged else "not converged"
        return (
            f"Clusters({k} centers of dimension {d}, {len(self.labels)} points, inertia {self.inertia:.6g}, {end} "
            f"after {self.iterations} iterations)"
        )

    def representatives(self) -> np.ndarray:
        """Return for each center the number of the nearest of its points, the lowest of those as near.

        Returns
        -------
        (k,) int64 array
            -1 for a center without points among those of this rank.

        Examples
        --------
        >>> import numpy as np
        >>> from sci.ensembles import k_means
        >>> found = k_means(np.array([[0.0], [0.4], [5.0], [5.1], [5.5]]), 2)
        >>> sorted(found.representatives().tolist())
        [0, 3]
        """
        labels, squared = to_host(self.labels), to_host(self.squared)
        order = np.lexsort((np.arange(len(labels)), squared, labels))
        found: np.ndarray = np.full(len(self.centers), -1)
        centers, first = np.unique(labels[order], return_index=True)
        found[centers] = order[first]
        return found


@dataclass(frozen=True, eq=False)
class Selection:
    """The part of a set of points that was chosen by their scores.

    Parameters
    ----------
    indices : (m,) int64 array
        Numbers of the chosen points, ascending.
    scores : (n,) float64 array
        Of all points.
    mode : {"hard", "easy"}

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import Selection
    >>> Selection(np.array([1, 3]), np.array([0.3, 0.9, 0.1, 0.5]), "hard")
    Selection(2 of 4 points, hard: scores from 0.5)
    """

    indices: np.ndarray
    scores: np.ndarray
    mode: str

    @property
    def threshold(self) -> float:
        """The smallest score that was chosen of hard points, the largest of easy ones."""
        chosen = self.scores[self.indices]
        return float(chosen.min() if self.mode == "hard" else chosen.max())

    def __repr__(self) -> str:
        bound = "from" if self.mode == "hard" else "to"
        return (
            f"Selection({len(self.indices)} of {len(self.scores)} points, {self.mode}: scores {bound} "
            f"{self.threshold:.6g})"
        )


class _Points:
    """The points of all ranks for sums that do not depend on their order: as integers of a common unit.

    Parameters
    ----------
    packed : PackedPoints
    counts : (n_ranks,) int64 array
        Points of each rank.
    comm : mpi4py communicator or None
    """

    def __init__(self, packed: PackedPoints, counts: np.ndarray, comm: Comm) -> None:
        self.packed, self.comm, self.host = packed, comm, to_host(packed.array)
        self.ends, self.total = np.cumsum(counts), int(counts.sum())
        # Units of the leading and following digits of each coordinate: an outlier leaves the others their accuracy.
        self.units: list[np.ndarray] = []
        for _ in range(2):
            parts = (np.abs(rest).max(axis=0) for _, rest in self._digits(slice(None)))
            largest: np.ndarray = np.max([np.zeros(self.host.shape[1]), *parts], axis=0)
            self.units.append(units_of_sums(largest, self.total, comm))
        self.labels: np.ndarray | None = None
        self.sums: list[np.ndarray] = []

    def _digits(self, rows: Any) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """Yield the digits of some points in the units so far, and what is left of the coordinates, part by part."""
        chosen = np.arange(len(self.host))[rows]
        step = max(1, _PART // self.host.shape[1])
        for start in range(0, len(chosen), step):
            rest = self.host[chosen[start : start + step]].astype(float)
            digits = []
            for unit in self.units:
                whole = np.rint(rest / unit)
                digits.append(whole.astype(np.int64))
                rest = rest - whole * unit
            yield digits, rest

    def units_of(self, values: np.ndarray) -> np.ndarray:
        """Return for each column the unit in which its values are integers whose sum stays below 2^62; 1 for zeros."""
        return units_of_sums(values.max(axis=0, initial=0.0), self.total, self.comm)

    def nearest(self, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return squared distance and number of the nearest center of each of the rank's points."""
        with agreed(self.comm, "k_means"):
            squared, index = nearest(self.packed, to_device(centers, namespace(self.packed.array)))
            return to_host(squared), to_host(index)

    def fetch_from(self, owner: int, local: int) -> np.ndarray:
        """Return on all ranks a point that one of them holds."""
        mine = self.host[local] if owner == rank_of(self.comm) else np.zeros_like(self.host, shape=self.host.shape[1])
        return np.asarray(allreduce_sum(mine, self.comm))

    def fetch(self, number: int) -> np.ndarray:
        """Return on all ranks the point of a number over all ranks."""
        owner = int(np.searchsorted(self.ends, number, side="right"))
        return self.fetch_from(owner, number - (int(self.ends[owner - 1]) if owner else 0))

    def means(self, labels: np.ndarray, squared: np.ndarray, k: int) -> np.ndarray:
        """Return the means of the points of each label; one without points is a point far from its center."""
        self._move(labels, k)
        sums: np.ndarray = np.zeros((k, self.host.shape[1]))
        for local, unit in zip(reversed(self.sums), reversed(self.units)):
            sums = sums + allreduce_sum(local, self.comm) * unit
        counts = allreduce_sum(np.bincount(labels, minlength=k).astype(np.int64), self.comm)
        centers: np.ndarray = (sums / np.maximum(counts, 1)[:, None]).astype(self.host.dtype)
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            every = allgather_rows(squared, self.comm)
            for center, number in zip(empty, np.argsort(-every, kind="stable")):
                centers[center] = self.fetch(int(number))
        return centers

    def _move(self, labels: np.ndarray, k: int) -> None:
        """Bring the sums of each label up to date: of integers, those that moved can be added and taken away."""
        if self.labels is None:
            self.sums = [np.zeros((k, self.host.shape[1]), np.int64) for _ in self.units]
            moved, before = np.arange(len(labels)), None
        else:
            moved = np.flatnonzero(labels != self.labels)
            before = self.labels[moved]
        at = 0
        for digits, _ in self._digits(moved):
            rows = np.arange(len(digits[0]))
            part = slice(at, at + len(rows))
            members = _members(labels[moved[part]], rows, k)
            if before is not None:
                members = members - _members(before[part], rows, k)
            for total, whole in zip(self.sums, digits):
                total += members @ whole
            at += len(rows)
        self.labels = labels


def _members(labels: np.ndarray, rows: np.ndarray, k: int) -> sparse.csr_matrix:
    """Return the (k, n) matrix with a one for the label of each row."""
    return sparse.csr_matrix((np.ones(len(rows), np.int64), (labels, rows)), shape=(k, len(rows)))


@collective_entry
def k_means(
    x: Array | PackedPoints,
    k: int,
    *,
    start: Array | None = None,
    starts: int = 1,
    maxiter: int = 100,
    seed: int = 0,
    comm: Comm = None,
) -> Clusters:
    """Find k centers with a small sum of squared distances sum_i min_c |x_i - c|^2, by Lloyd's steps.

    Parameters
    ----------
    x : (n, D) float32 or float64, or PackedPoints
    k : int
        From 1 to the number of points of all ranks that differ.
    start : (k, D), optional
        First centers; drawn by k-means++ unless given.
    starts : int
        Draws of first centers; the clusters of the smallest inertia are returned.
    maxiter : int
        Rounds of assignment at most.
    seed : int
        Of k-means++; draw j takes seed + j.
    comm : mpi4py communicator, optional
        Each rank holds points of its own.

    Returns
    -------
    Clusters
        Labels and distances are those of the rank's own points; the rest is the same on all.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank.

    Notes
    -----
    2 n k D flops an iteration and no n x k matrix; k-means++ costs as much as one iteration per ten centers.
    Sums over points are exact integers, so that every rank count gives the same labels and centers bit for bit. A
    center without points moves to the point farthest from its center. The result is a local minimum, the lower the more
    `starts`. Collective over `comm`.

    References
    ----------
    Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982); Arthur and Vassilvitskii, SODA 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import k_means
    >>> k_means(np.array([[0.0], [0.2], [5.0], [5.2]]), 2).centers.ravel()
    array([5.1, 0.1])
    """
    with agreed(comm, "k_means") as agreement:
        packed = x if isinstance(x, PackedPoints) else PackedPoints(x)
        xp, d = namespace(packed.array), packed.array.shape[1]
        if start is not None:
            start = to_host(as_finite(start, "start", shape=(k, d), dtype=packed.array.dtype))
        dtype = str(packed.array.dtype)
        agreement.same(k=k, starts=starts, maxiter=maxiter, seed=seed, start=start, d=d, dtype=dtype)
        agreement.gather(len(packed))
        if k < 1 or maxiter < 1 or starts < 1:
            raise InvalidValueError(f"k is {k}, starts {starts}, maxiter {maxiter}; expected positive integers")
        if start is not None and starts > 1:
            raise InvalidValueError(f"starts is {starts}, and start gives the first centers; leave out one of them")
    points = _Points(packed, agreement.table[:, 0], comm)
    if k > points.total:
        raise InvalidValueError(f"k is {k}, but there are {points.total} points; choose fewer clusters")
    draws = (_plus_plus(points, k, seed + j) if start is None else start for j in range(starts))
    found = min((_descended(points, centers, maxiter) for centers in draws), key=lambda clusters: clusters.inertia)
    device = {name: to_device(getattr(found, name), xp) for name in ("centers", "labels", "squared")}
    return replace(found, **device)


def _descended(points: _Points, centers: np.ndarray, maxiter: int) -> Clusters:
    """Return the clusters at which Lloyd's steps from `centers` end."""
    squared, labels = points.nearest(centers)
    changed, iterations, k = True, 0, len(centers)
    for _ in progress(range(maxiter), "k-means", show=rank_of(points.comm) == 0):
        centers, before, iterations = points.means(labels, squared, k), labels, iterations + 1
        squared, labels = points.nearest(centers)
        changed = bool(allreduce_sum(np.array([(labels != before).sum()]), points.comm)[0])
        if not changed:
            break
    inertia = float(allgather_rows(squared.astype(float), points.comm).sum())
    return Clusters(centers, labels, squared, inertia, iterations, not changed)


def _plus_plus(points: _Points, k: int, seed: int) -> np.ndarray:
    """Draw centers, each with a probability in proportion to the squared distance to those before (k-means++)."""
    rng = np.random.default_rng(seed)
    centers = [points.fetch(int(rng.integers(points.total)))]
    least = np.full(len(points.host), np.inf)
    step = 0.0
    for _ in progress(range(1, k), "k-means++", show=rank_of(points.comm) == 0):
        least = np.minimum(least, points.nearest(centers[-1][None])[0])
        # Whole numbers as weights: their sums over ranks are exact, and so is the point that a number falls on.
        step = step or float(points.units_of(least[:, None])[0])
        below = np.cumsum(np.rint(least / step).astype(np.int64))
        sums = allgather_rows(below[-1:] if len(below) else np.zeros(1, np.int64), points.comm)
        total = int(sums.sum())
        if not total:
            raise InvalidValueError(f"k is {k}, but only {len(centers)} points differ; choose fewer clusters")
        # A number of a fixed range, so that the last bits of the weights do not decide how many are drawn.
        drawn = int(rng.integers(2**62)) * total >> 62
        owner = int(np.searchsorted(np.cumsum(sums), drawn, side="right"))
        local = int(np.searchsorted(below, drawn - int(sums[:owner].sum()), side="right"))
        centers.append(points.fetch_from(owner, local))
    return np.array(centers)


@collective_entry
def prototype_scores(x: Array | PackedPoints, centers: Array, *, comm: Comm = None) -> Array:
    """Score points by the distance to their nearest center, min_c |x_i - c|: large for hard, unusual points.

    Parameters
    ----------
    x : (n, D) float32 or float64, or PackedPoints
    centers : (k, D)
        For example those of `k_means`; the same on all ranks.
    comm : mpi4py communicator, optional
        Each rank holds points of its own.

    Returns
    -------
    (n,) array
        Distances, in the unit of the points.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank.

    References
    ----------
    Sorscher et al., NeurIPS 2022, section 5 (there by the cosine: pass points and centers of unit length).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import prototype_scores
    >>> prototype_scores(np.array([[0.0], [3.0]]), np.array([[1.0]]))
    array([1., 2.])
    """
    with agreed(comm, "prototype_scores") as agreement:
        agreement.same(centers=to_host(centers) if hasattr(centers, "dtype") else np.asarray(centers))
        squared, _ = nearest(x, centers)
    return namespace(squared).sqrt(squared)


@entry
def select(scores: Array, fraction: float, mode: Mode = "hard") -> Selection:
    """Choose the part of the points with the largest ("hard") or smallest ("easy") scores.

    Parameters
    ----------
    scores : (n,) array
    fraction : float
        Above 0, at most 1; at least one point is chosen.
    mode : {"hard", "easy"}
        Hard points teach more where data are plentiful, easy ones where they are scarce.

    Returns
    -------
    Selection
        Of equal scores the lower number is chosen.

    Raises
    ------
    InvalidValueError, ShapeError

    References
    ----------
    Sorscher et al., NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import select
    >>> select(np.array([0.3, 0.9, 0.1, 0.5]), 0.5).indices
    array([1, 3])
    """
    values = to_host(as_finite(scores, "scores", shape=(None,)))
    if not 0 < fraction <= 1 or len(values) == 0:
        raise InvalidValueError(f"a fraction of {fraction} of {len(values)} points; expected one above 0, at most 1")
    order = np.argsort(-values if mode == "hard" else values, kind="stable")
    return Selection(np.sort(order[: max(1, round(fraction * len(values)))]), values, mode)
