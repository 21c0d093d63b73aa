"""Intrinsic dimension of a set of points from the distances to its nearest neighbors, with a standard error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace, to_device, to_host
from sci.distributed import Comm, agreed, allgather_rows, rank_of
from sci.errors import InvalidValueError
from sci.linalg import PackedPoints, nearest_k, steepest
from sci.linalg.lanczos import largest_entry

__all__ = ["IntrinsicDimension", "LabelSharpness", "Method", "intrinsic_dimension", "label_sharpness"]

Method: TypeAlias = Literal["mle", "twonn"]
"""How a dimension is estimated: by maximum likelihood, or from two nearest neighbors."""

_QUANTILE = 1.959963984540054
"""Of the normal distribution, for intervals of 95 %."""


@dataclass(frozen=True)
class IntrinsicDimension:
    """An estimate of the number of degrees of freedom of a set of points.

    Parameters
    ----------
    value : float
        The estimate, without a unit.
    standard_error : float
        Of sampling; the bias by curvature and by the boundary of the set comes on top.
    method : {"mle", "twonn"}
    neighbors : int
        Neighbors of each point that were used.
    points : int
        Points that were used.
    coincident : int
        Points left out because an earlier one lies at the same place.
    successive : float
        Part of the points whose nearest neighbor is the one before or after: about 2 / n where the order means nothing,
        much where the points are dense on a path, whose dimension is one.

    Examples
    --------
    >>> from sci.ensembles import IntrinsicDimension
    >>> IntrinsicDimension(2.0, 0.1, "mle", neighbors=10, points=500, coincident=0).value
    2.0
    """

    value: float
    standard_error: float
    method: str
    neighbors: int
    points: int
    coincident: int
    successive: float = 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of 95 % for the sampling error alone."""
        half = _QUANTILE * self.standard_error
        return self.value - half, self.value + half

    def __repr__(self) -> str:
        left_out = f", {self.coincident} coincident left out" if self.coincident else ""
        return (
            f"IntrinsicDimension({self.value:.3f} +- {self.standard_error:.3f} by {self.method} from {self.points} "
            f"points, {self.neighbors} neighbors{left_out})"
        )


@collective_entry
def intrinsic_dimension(
    x: Array | PackedPoints,
    method: Method = "twonn",
    *,
    k: int | None = None,
    discard: float | None = None,
    comm: Comm = None,
) -> IntrinsicDimension:
    """Estimate how many degrees of freedom a set of points has.

    With T_j the distance to the j-th neighbor: "mle" is d = (k - 1) / mean_x sum_{j<k} log(T_k / T_j); "twonn" is the
    slope through the origin of -log(1 - F) over log(T_2 / T_1), F the empirical distribution without its upper part.

    Parameters
    ----------
    x : (n, D) float32 or float64, or PackedPoints
        Points; frames of a trajectory, samples of a training set, activations of a layer. The unit does not matter.
    method : {"twonn", "mle"}
        TwoNN sees the finest scale, and so noise; the maximum likelihood over k neighbors sees a larger one.
    k : int, optional
        Neighbors of "mle", at least 3; 20 unless given.
    discard : float, optional
        Part of the largest ratios that "twonn" leaves out, from 0 to below 1, 0.1 unless given: far neighbors bend the
        line.
    comm : mpi4py communicator, optional
        Each rank holds points of its own.

    Returns
    -------
    IntrinsicDimension

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank; also for an option of the other method, for fewer points than neighbors, or none that differ, and
        by "twonn" for points whose two nearest neighbors are mostly as far as each other: of a lattice, or rounded.

    Notes
    -----
    2 n^2 D flops and no n x n matrix. Both estimates are low at high dimensions, where most points lie near the
    boundary of the set: uniform points in a cube of dimension 10 give about 8.1 at n = 2,000. The standard error is
    that of the sum of what each point adds to the estimate, to first order, and counts that points which are neighbors
    of one another share distances. Collective over `comm`; the value does not depend on the number of ranks but for
    rounding.

    References
    ----------
    Levina and Bickel, NIPS 2004, with the averaging of MacKay and Ghahramani (2005); Facco et al., Sci. Rep. 7, 12140
    (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import intrinsic_dimension
    >>> plane = np.random.default_rng(0).random((2000, 2)) @ np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])
    >>> found = intrinsic_dimension(plane)
    >>> abs(found.value - 2) < 0.2
    True
    """
    with agreed(comm, "intrinsic_dimension") as agreement:
        if method not in ("twonn", "mle"):
            raise InvalidValueError(f"method is {method!r}; expected 'twonn' or 'mle'")
        name, given = ("k", k) if method == "twonn" else ("discard", discard)
        if given is not None:
            other = "mle" if method == "twonn" else "twonn"
            raise InvalidValueError(f"{name} is {given} with {method!r}, which does not use it; pass method={other!r}")
        k, discard = 20 if k is None else k, 0.1 if discard is None else discard
        if k < 3:
            raise InvalidValueError(f"k is {k}; expected at least 3 neighbors for the maximum likelihood")
        if not 0 <= discard < 1:
            raise InvalidValueError(f"discard is {discard}; expected a part from 0 to below 1")
        agreement.same(method=method, k=k, discard=discard)
    neighbors = 2 if method == "twonn" else int(k)
    packed = x if isinstance(x, PackedPoints) else PackedPoints(x)
    squared, index, numbers = _neighbors(packed, neighbors, comm)
    total = len(allgather_rows(numbers, comm))
    # Of points that coincide the first stays: a copy would be the nearest neighbor of others twice.
    first = (squared[:, 0] > 0) | (index[:, 0] > numbers)
    used = int(allgather_rows(first, comm).sum())
    if used <= neighbors:
        raise InvalidValueError(
            f"{total - used} of {total} points coincide with another, which leaves {used}; expected more than "
            f"{neighbors} points that differ"
        )
    if used < total:
        packed = PackedPoints(packed.array[to_device(first, namespace(packed.array))])
        squared, index, _ = _neighbors(packed, neighbors, comm)
    squared, index = allgather_rows(squared, comm).astype(float), allgather_rows(index, comm)
    unit = float(np.finfo(packed.array.dtype).eps) * largest_entry(packed.array, comm)
    with agreed(comm, "intrinsic_dimension"):
        if method == "twonn":
            _require_ratios(squared, discard, unit)
        elif (squared[:, -1] == squared[:, 0]).all():
            raise InvalidValueError(
                "all neighbors of every point are equally far; the dimension needs points in general position"
            )
    value, error = _two_nearest(squared, index, discard) if method == "twonn" else _likelihood(squared, index)
    successive = float((abs(index[:, 0] - np.arange(used)) == 1).mean())
    return IntrinsicDimension(value, error, method, neighbors, used, total - used, successive)


def _neighbors(x: PackedPoints, k: int, comm: Comm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return squared distances and numbers of the neighbors of this rank's points, and the points' own numbers."""
    squared, index = (to_host(a) for a in nearest_k(x, k, comm=comm))
    lengths = allgather_rows(np.array([len(x)]), comm)
    start = int(lengths[: rank_of(comm)].sum())
    return squared, index, np.arange(start, start + len(x))


def _require_ratios(squared: np.ndarray, discard: float, unit: float) -> None:
    """Raise where the two neighbors of most points that count are as far, but for the rounding of coordinates.

    The line passes the median ratio at a fixed height: where that ratio is one, no finite slope fits.
    """
    logarithms = _logarithms(squared)
    rounding = 8 * unit / np.sqrt(squared[:, 0])
    kept = logarithms.argsort()[: _kept(len(logarithms), discard)]
    tied = int((logarithms <= rounding)[kept].sum())
    if 2 * tied > len(kept):
        raise InvalidValueError(
            f"the two nearest neighbors of {tied} of {len(kept)} points are equally far: the points lie on a lattice "
            'or are rounded, and "twonn" has no ratios to use; pass method="mle" with k of 40 or more, which sees '
            "beyond the steps, or add noise larger than a step"
        )


def _two_nearest(squared: np.ndarray, index: np.ndarray, discard: float) -> tuple[float, float]:
    """Return the estimate of TwoNN and its standard error.

    The slope through the origin of -log(1 - F) over the sorted logarithms.
    """
    logarithms = _logarithms(squared)
    n, order = len(logarithms), logarithms.argsort(kind="stable")
    kept = _kept(n, discard)
    x = logarithms[order[:kept]]
    y = -np.log1p(-np.arange(1, kept + 1) / (n + 1 if kept == n else n))
    value = x @ y / (x @ x)
    # A point draws all quantiles above it down, each by the distance to the next one, over the number of points.
    change = (y - 2 * value * x) / (x @ x) * np.diff(x, append=logarithms[order[min(kept, n - 1)]])
    influence = np.zeros(n)
    influence[order[:kept]] = -change[::-1].cumsum()[::-1]
    return float(value), _scatter(influence, index)


def _logarithms(squared: np.ndarray) -> np.ndarray:
    """Return the logarithms of the ratio of the second distance to the first."""
    logarithms: np.ndarray = 0.5 * np.log(squared[:, 1] / squared[:, 0])
    return logarithms


def _kept(n: int, discard: float) -> int:
    """Return the number of ratios that count."""
    return max(1, int(n * (1 - discard)))


def _likelihood(squared: np.ndarray, index: np.ndarray) -> tuple[float, float]:
    """Return the estimate of maximum likelihood and its standard error."""
    k = squared.shape[1]
    sums = 0.5 * np.log(squared[:, -1:] / squared[:, :-1]).sum(axis=1)
    value = (k - 1) / sums.mean()
    return float(value), float(value * _scatter(sums, index) / sums.sum())


def _scatter(parts: np.ndarray, index: np.ndarray) -> float:
    """Return the standard deviation of the sum of what each point adds, where `index` holds its neighbors.

    Neighborhoods overlap: the variance of the sum adds the products of a point with its neighbors.
    """
    deviation = parts - parts.mean()
    shared = deviation @ (deviation + deviation[index].sum(axis=1))
    return float(np.sqrt(max(float(shared), float(deviation @ deviation))))


@dataclass(frozen=True)
class LabelSharpness:
    """The steepest change of a label in a training set.

    Parameters
    ----------
    value : float
        Largest |l_i - l_j| / |x_i - x_j|, in the unit of labels over that of points.
    pair : tuple of int
        The two points; (-1, -1) where all labels are equal.

    Examples
    --------
    >>> from sci.ensembles import LabelSharpness
    >>> LabelSharpness(3.5, (0, 7)).pair
    (0, 7)
    """

    value: float
    pair: tuple[int, int]

    def loss_scale(self, dimension: float, points: int) -> float:
        """Return K_F n^(-1/d), with which the test loss of an interpolating model scales.

        Parameters
        ----------
        dimension : float
            Intrinsic dimension d of the points.
        points : int
            Number n of training points.

        References
        ----------
        Konz and Mazurowski, ICLR 2024, theorem 1: the loss is O(K_F n^(-1/d)); the constant is not known.

        Examples
        --------
        >>> from sci.ensembles import LabelSharpness
        >>> LabelSharpness(2.0, (0, 1)).loss_scale(2.0, 100)
        0.2
        """
        if not dimension > 0 or points < 1:
            raise InvalidValueError(f"dimension {dimension} and {points} points; expected positive numbers")
        return float(self.value * points ** (-1 / dimension))


@collective_entry
def label_sharpness(
    x: Array | PackedPoints, labels: Array, *, classes: bool = False, comm: Comm = None
) -> LabelSharpness:
    """Measure how sharply labels change: K_F = max |l_i - l_j| / |x_i - x_j| over all pairs with l_i != l_j.

    Parameters
    ----------
    x : (n, D) float32 or float64, or PackedPoints
    labels : (n,)
        Numbers.
    classes : bool
        Count every difference of labels as one, for classes whose numbers mean nothing.
    comm : mpi4py communicator, optional
        Each rank holds points of its own.

    Returns
    -------
    LabelSharpness

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank; also where two points of different labels coincide, for which no function fits the labels, or
        lie so close that the square of their distance leaves the dtype, and where the value leaves the dtype.

    Notes
    -----
    Exact over all pairs, 2 n^2 D flops. The unit of labels does not matter: they are squared as parts of the largest.
    Larger sharpness goes with lower robustness against small changes of the
    points. Collective over `comm`.

    References
    ----------
    Konz and Mazurowski, ICLR 2024 (pairs of equal labels do not count, unlike in the published code).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import label_sharpness
    >>> label_sharpness(np.array([[0.0], [2.0], [3.0]]), np.array([0, 1, 0]))
    LabelSharpness(value=1.0, pair=(1, 2))
    """
    slope, index = (to_host(a) for a in steepest(x, labels, classes=classes, comm=comm))
    slope, index = allgather_rows(slope, comm), allgather_rows(index, comm)
    first = int(slope.argmax())
    pair = (first, int(index[first])) if index[first] >= 0 else (-1, -1)
    with agreed(comm, "label_sharpness"):
        if not np.isfinite(slope[first]):
            raise InvalidValueError(
                f"points {pair[0]} and {pair[1]} coincide and have different labels, or they lie so close that the "
                f"square of their distance leaves {slope.dtype}; remove one of them"
                f"{', or pass x in float64' if slope.dtype == np.float32 else ''}"
            )
    return LabelSharpness(float(slope[first]), pair)
