"""Nearest points, and the steepest change of a label."""

from __future__ import annotations

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, ArrayLike, namespace
from sci.distributed import Comm, agreed
from sci.errors import InvalidValueError
from sci.kernels import get_kernel, use_compiled
from sci.linalg.lanczos import largest_entry, power_of_two
from sci.linalg.pairwise.points import FILE, NOBODY, PackedPoints, blocks, launch_over, prepared

__all__ = ["nearest", "nearest_k", "steepest"]


@collective_entry
def nearest(x: ArrayLike | PackedPoints, y: ArrayLike, *, comm: Comm = None) -> tuple[Array, Array]:
    """Find the nearest point of `y` for every point of `x`: min_j |x_i - y_j|^2 and its j.

    Parameters
    ----------
    x : (n, d) float32 or float64, or PackedPoints
        Other numbers become float64.
    y : (m, d), of the dtype of `x`
        m > 0 over all ranks.
    comm : mpi4py communicator, optional
        Each rank holds points of its own in `x` and `y`; numbers j count the points of all ranks in the order of the
        ranks.

    Returns
    -------
    squared : (n,) of the dtype
        Squared distances; infinite only where they overflow.
    index : (n,) int64
        The lowest j of those as near.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank.

    Notes
    -----
    2 n m d flops: distances are compared by |y|^2 / 2 - x'y, and by squared differences where rounding leaves a doubt,
    so that the answer is that of the differences. On ranks (collective) the points `y` go round a ring, and the result
    does not depend on the number of ranks.

    Examples
    --------
    >>> from sci.linalg import nearest
    >>> nearest([[0.0], [4.0]], [[1.0], [3.5], [5.0]])
    (array([1.  , 0.25]), array([0, 1]))
    """
    packed, _, (y,), ring = prepared("nearest", comm, x, y)
    x, xp, n = packed.array, namespace(y), len(packed)
    least, index = xp.full(n, np.inf, x.dtype), xp.full(n, NOBODY)
    kernel = get_kernel(FILE, "nearest", x.dtype)

    def reduce(start: int, y: Array) -> None:
        if len(y) == 0:
            return
        if use_compiled(kernel, x):
            center, z, heights, reach, unit = _around_center(y)
            sizes = (n, *y.shape, len(z), start)
            launch_over(kernel, packed, y, z, heights, center, least, index, *sizes, reach, unit)
        else:
            nearest_reference(x, y, least, index, start)

    ring([y], reduce)
    return least, index


def _around_center(y: Array) -> tuple[Array, Array, Array, float, float]:
    """Return the center of y, z = y - center, |z|^2 / 2, a bound of |z|, and the unit of rounding, for `nearest`.

    z and its heights are filled up to a multiple of eight rows.
    """
    xp, (m, d), limits = namespace(y), y.shape, np.finfo(y.dtype)
    center = y.mean(axis=0)
    z = xp.zeros((-(-m // 8) * 8, d), y.dtype)
    z[:m] = y - center
    heights = (z * z).sum(axis=1) / 2
    reach = 1.01 * float(2 * heights.max()) ** 0.5
    heights[m:] = limits.max
    # A sum of k products is off by k eps / 2 over 1 - k eps / 2 of the sum of their sizes, at most.
    part = (d + 8) * float(limits.eps) / 2
    return center, z, heights, reach, 1.1 * part / (1 - part) if part < 0.1 else float("inf")


def nearest_reference(x: Array, y: Array, least: Array, index: Array, start: int) -> None:
    """Reference of the kernel `nearest` in array calls."""
    nearest_k_reference(x, y, least[:, None], index[:, None], start, -1 - len(x))


@collective_entry
def nearest_k(
    x: ArrayLike | PackedPoints, k: int, y: ArrayLike | None = None, *, comm: Comm = None
) -> tuple[Array, Array]:
    """Find the k nearest points of `y` for every point of `x`, ascending.

    Parameters
    ----------
    x : (n, d) float32 or float64, or PackedPoints
    k : int
        Number of neighbors: at most the number of points, without the point itself.
    y : (m, d), optional
        Of the dtype of `x`; unless given, the neighbors of every x are the other points of `x`.
    comm : mpi4py communicator, optional
        As for `nearest`.

    Returns
    -------
    squared : (n, k) of the dtype
    index : (n, k) int64
        Of points as near, the lower number stands first.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank.

    Notes
    -----
    2 n m d flops, and no memory but for the result, 2 n k numbers; insertions cost n k ln(m / k) more. Collective over
    `comm`.

    Examples
    --------
    >>> from sci.linalg import nearest_k
    >>> nearest_k([[0.0], [1.0], [3.0]], 2)
    (array([[1., 9.],
           [1., 4.],
           [4., 9.]]), array([[1, 2],
           [0, 2],
           [1, 0]]))
    """
    itself = y is None
    packed, _, (y,), ring = prepared("nearest_k", comm, x, y, k=k, itself=itself)
    available = ring.total - itself
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= available:
        raise InvalidValueError(f"k is {k!r}; expected an integer from 1 to {available}, the points to choose from")
    x, xp, n = packed.array, namespace(y), len(packed)
    least, index = xp.full((n, k), np.inf, x.dtype), xp.full((n, k), NOBODY)
    own = ring.start if itself else -1 - n
    kernel = get_kernel(FILE, "nearest_k", x.dtype)

    def reduce(start: int, y: Array) -> None:
        if use_compiled(kernel, x):
            launch_over(kernel, packed, y, least, index, n, len(y), x.shape[1], k, start, own)
        else:
            nearest_k_reference(x, y, least, index, start, own)

    ring([y], reduce)
    return least, index


def nearest_k_reference(x: Array, y: Array, least: Array, index: Array, start: int, own: int) -> None:
    """Reference of the kernel `nearest_k` in array calls."""
    xp, k = namespace(x), least.shape[1]
    numbers = start + xp.arange(len(y))
    for rows, squared in blocks(x, y):
        itself = numbers[None, :] == xp.arange(rows.start, rows.start + len(squared))[:, None] + own
        squared = xp.where(itself, np.inf, squared)
        values = xp.concatenate([least[rows], squared], axis=1)
        found = xp.concatenate([index[rows], xp.where(itself, NOBODY, numbers[None, :])], axis=1)
        order = xp.take_along_axis(found, by_number := xp.argsort(found, axis=1, kind="stable"), axis=1)
        values = xp.take_along_axis(values, by_number, axis=1)
        first = xp.argsort(values, axis=1, kind="stable")[:, :k]
        least[rows] = xp.take_along_axis(values, first, axis=1)
        index[rows] = xp.take_along_axis(order, first, axis=1)


@collective_entry
def steepest(
    x: ArrayLike | PackedPoints, labels: ArrayLike, *, classes: bool = False, comm: Comm = None
) -> tuple[Array, Array]:
    """Find the steepest change of a label from every point: max_j |l_i - l_j| / |x_i - x_j| over l_j != l_i.

    Parameters
    ----------
    x : (n, d) float32 or float64, or PackedPoints
    labels : (n,)
        Numbers; of classes only whether they are equal counts.
    classes : bool
        Count every difference of labels as one.
    comm : mpi4py communicator, optional
        As for `nearest`.

    Returns
    -------
    slope : (n,) of the dtype
        Zero where all labels are equal, infinite where points of different labels coincide, or lie so close that the
        square of their distance leaves the dtype.
    index : (n,) int64
        The lowest j of those as steep, -1 where all labels are equal.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank; also where a slope leaves the dtype.

    Notes
    -----
    The largest slope is the label sharpness of a training set. Labels are compared in units of the largest, so that
    their squares are numbers in any unit; those that differ by less than about 1e-19 of it in float32, 1e-154 in
    float64, count as equal. Collective over `comm`.

    References
    ----------
    Konz and Mazurowski, ICLR 2024, definition of K_F.

    Examples
    --------
    >>> from sci.linalg import steepest
    >>> steepest([[0.0], [2.0], [3.0]], [0, 1, 0])
    (array([0.5, 1. , 1. ]), array([1, 2, 1]))
    """
    packed, (own,), (y,), ring = prepared("steepest", comm, x, None, of_x={"labels": labels}, classes=bool(classes))
    x, xp, n = packed.array, namespace(y), len(packed)
    ratio, index = xp.full(n, -1, x.dtype), xp.full(n, NOBODY)
    # Half the exponent of the points keeps both the squares of the steps and their ratios away from the limits.
    unit = size = 1.0
    if not classes:
        unit, size = power_of_two(largest_entry(own, comm)), power_of_two(largest_entry(x, comm) ** 0.5)
    own = (own.astype(np.float64) / unit * size).astype(x.dtype)
    kernel = get_kernel(FILE, "steepest", x.dtype, bool(classes))

    def reduce(start: int, y: Array, labels: Array) -> None:
        if use_compiled(kernel, x):
            launch_over(kernel, packed, y, own, labels[:, 0], ratio, index, n, len(y), x.shape[1], start)
        else:
            steepest_reference(x, y, own, labels[:, 0], ratio, index, start, bool(classes))

    ring([y, own[:, None]], reduce)
    found = ratio >= 0
    with agreed(comm, "steepest"), np.errstate(over="ignore"):
        true = xp.sqrt(xp.where(found, ratio, 0).astype(np.float64)) / size * unit
        slope, limits = true.astype(x.dtype), np.finfo(x.dtype)
        outside = (found & (true < float(limits.tiny))) | (xp.isinf(slope) & ~xp.isinf(ratio))
        if bool(outside.any()):
            raise InvalidValueError(
                f"a slope between points of different labels leaves {x.dtype}; choose another unit of labels or of x"
                f"{', or float64' if x.dtype == np.float32 else ''}"
            )
    return slope, xp.where(found, index, -1)


def steepest_reference(
    x: Array, y: Array, own: Array, labels: Array, ratio: Array, index: Array, start: int, classes: bool
) -> None:
    """Reference of the kernel `steepest` in array calls."""
    xp = namespace(x)
    for rows, squared in blocks(x, y):
        step = own[rows, None] - labels[None, :]
        rise = (step != 0).astype(x.dtype) if classes else step * step
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = xp.where(rise > 0, rise / squared, -1).astype(x.dtype)
        where = slope.argmax(axis=1)
        best, number = xp.take_along_axis(slope, where[:, None], axis=1)[:, 0], start + where
        better = (best > ratio[rows]) | ((best == ratio[rows]) & (best >= 0) & (number < index[rows]))
        ratio[rows], index[rows] = xp.where(better, best, ratio[rows]), xp.where(better, number, index[rows])
