"""Reductions over all pairs of two sets of points, serial and round a ring of ranks; never an n x m matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sci.backend import Array, as_finite, namespace
from sci.distributed import Comm, Deferred, agreed, rank_of, ring_steps
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.kernels import Kernel, block_size, get_kernel, launch, use_compiled

__all__ = ["PackedPoints", "log_sum_exp", "nearest", "nearest_k", "steepest", "weighted_sum"]

_FILE = "linalg/pairwise.cu"
_COLUMNS = 4
"""Columns of values that `weighted_sum` takes in one pass."""
_PAIRS = 1_000_000
"""Pairs of one block of a reference."""
_NOBODY = np.iinfo(np.int64).max
"""Number of a point that does not exist."""


class PackedPoints:
    """Points in the order in which the kernels read them, for calls that repeat with the same points.

    Parameters
    ----------
    x : (n, d) float32 or float64
        Finite; other numbers become float64.

    Attributes
    ----------
    array : (n, d) array
        The points.
    tiles : (ceil(n / block), d, block) array
        A block of points side by side, by coordinate; the last block is filled up with zeros.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    As many bytes as the points once more. Packing costs as much as finding the nearest of about 15 points.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import PackedPoints, nearest
    >>> x = PackedPoints(np.arange(6.0).reshape(3, 2))
    >>> x, nearest(x, [[2.0, 3.0]])[0]
    (PackedPoints(3 points of dimension 2, float64), array([8., 0., 8.]))
    """

    def __init__(self, x: Array) -> None:
        dtype = np.float32 if getattr(x, "dtype", None) == np.float32 else np.float64
        self.array = as_finite(x, "x", shape=(None, None), dtype=dtype)
        n, d = self.array.shape
        if d == 0:
            raise ShapeError("x has no coordinates; expected (n, d) with d at least 1")
        xp, block = namespace(self.array), block_size(self.array)
        count = -(-n // block)
        filled = xp.zeros((count * block, d), dtype)
        filled[:n] = self.array
        self.tiles = xp.ascontiguousarray(filled.reshape(count, block, d).transpose(0, 2, 1))

    def __len__(self) -> int:
        return int(self.array.shape[0])

    def __repr__(self) -> str:
        n, d = self.array.shape
        return f"PackedPoints({n} points of dimension {d}, {self.array.dtype})"


def nearest(x: Array | PackedPoints, y: Array, *, comm: Comm = None) -> tuple[Array, Array]:
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
    2 n m d flops; on ranks (collective) the points `y` go round a ring, and the result does not depend on the number
    of ranks.

    Examples
    --------
    >>> from sci.linalg import nearest
    >>> nearest([[0.0], [4.0]], [[1.0], [3.5], [5.0]])
    (array([1.  , 0.25]), array([0, 1]))
    """
    packed, _, (y,), ring = _prepared("nearest", comm, x, y)
    x, xp, n = packed.array, namespace(y), len(packed)
    least, index = xp.full(n, np.inf, x.dtype), xp.full(n, _NOBODY)
    kernel = get_kernel(_FILE, "nearest", x.dtype)

    def reduce(start: int, y: Array) -> None:
        if use_compiled(kernel, x):
            _launch(kernel, packed, y, least, index, n, len(y), x.shape[1], start)
        else:
            nearest_reference(x, y, least, index, start)

    ring([y], reduce)
    return least, index


def nearest_reference(x: Array, y: Array, least: Array, index: Array, start: int) -> None:
    """Reference of the kernel `nearest` in array calls."""
    nearest_k_reference(x, y, least[:, None], index[:, None], start, -1 - len(x))


def nearest_k(x: Array | PackedPoints, k: int, y: Array | None = None, *, comm: Comm = None) -> tuple[Array, Array]:
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
    2 n m d flops and n k numbers; insertions cost n k ln(m / k) more. Collective over `comm`.

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
    packed, _, (y,), ring = _prepared("nearest_k", comm, x, y, k=k, itself=itself)
    available = ring.total - itself
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= available:
        raise InvalidValueError(f"k is {k!r}; expected an integer from 1 to {available}, the points to choose from")
    x, xp, n = packed.array, namespace(y), len(packed)
    least, index = xp.full((n, k), np.inf, x.dtype), xp.full((n, k), _NOBODY)
    own = ring.start if itself else -1 - n
    kernel = get_kernel(_FILE, "nearest_k", x.dtype)

    def reduce(start: int, y: Array) -> None:
        if use_compiled(kernel, x):
            _launch(kernel, packed, y, least, index, n, len(y), x.shape[1], k, start, own)
        else:
            nearest_k_reference(x, y, least, index, start, own)

    ring([y], reduce)
    return least, index


def nearest_k_reference(x: Array, y: Array, least: Array, index: Array, start: int, own: int) -> None:
    """Reference of the kernel `nearest_k` in array calls."""
    xp, k = namespace(x), least.shape[1]
    numbers = start + xp.arange(len(y))
    for rows, squared in _blocks(x, y):
        itself = numbers[None, :] == xp.arange(rows.start, rows.start + len(squared))[:, None] + own
        squared = xp.where(itself, np.inf, squared)
        values = xp.concatenate([least[rows], squared], axis=1)
        found = xp.concatenate([index[rows], xp.where(itself, _NOBODY, numbers[None, :])], axis=1)
        order = xp.take_along_axis(found, by_number := xp.argsort(found, axis=1, kind="stable"), axis=1)
        values = xp.take_along_axis(values, by_number, axis=1)
        first = xp.argsort(values, axis=1, kind="stable")[:, :k]
        least[rows] = xp.take_along_axis(values, first, axis=1)
        index[rows] = xp.take_along_axis(order, first, axis=1)


def log_sum_exp(x: Array | PackedPoints, y: Array, heights: Array, rate: float, *, comm: Comm = None) -> Array:
    """Return log sum_j exp(h_j - rate |x_i - y_j|^2): a soft minimum over the points of `y`.

    Parameters
    ----------
    x : (n, d) float32 or float64, or PackedPoints
    y : (m, d), of the dtype of `x`
    heights : (m,)
        h_j; minus infinity leaves a point out.
    rate : float
        Positive, in the inverse unit of the squared distance.
    comm : mpi4py communicator, optional
        As for `nearest`.

    Returns
    -------
    (n,) of the dtype
        Minus infinity where every point is left out.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank.

    Notes
    -----
    The largest exponent is taken out of the sum, so that no rate is too large. About 2 d + 25 flops a pair.
    Collective over `comm`; then equal to the serial result up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import log_sum_exp
    >>> float(log_sum_exp([[0.0]], [[0.0], [1.0]], [0.0, 0.0], 1e4)[0])
    0.0
    """
    packed, _, (y, h), ring = _prepared("log_sum_exp", comm, x, y, of_y={"heights": heights}, rate=rate)
    x, xp, n = packed.array, namespace(y), len(packed)
    rate = _positive("rate", rate)
    largest, total = xp.full(n, -np.finfo(x.dtype).max, x.dtype), xp.zeros(n, x.dtype)
    kernel = get_kernel(_FILE, "log_sum_exp", x.dtype)

    def reduce(start: int, y: Array, h: Array) -> None:
        if use_compiled(kernel, x):
            _launch(kernel, packed, y, h[:, 0], largest, total, n, len(y), x.shape[1], rate)
        else:
            log_sum_exp_reference(x, y, h[:, 0], largest, total, rate)

    ring([y, h[:, None]], reduce)
    with np.errstate(divide="ignore"):
        return largest + xp.log(total)


def log_sum_exp_reference(x: Array, y: Array, h: Array, largest: Array, total: Array, rate: float) -> None:
    """Reference of the kernel `log_sum_exp` in array calls."""
    xp = namespace(x)
    for rows, squared in _blocks(x, y):
        exponents = h[None, :] - x.dtype.type(rate) * squared
        top = xp.maximum(largest[rows], exponents.max(axis=1))
        total[rows] = total[rows] * xp.exp(largest[rows] - top) + xp.exp(exponents - top[:, None]).sum(axis=1)
        largest[rows] = top


def weighted_sum(
    x: Array | PackedPoints, y: Array, values: Array, heights: Array, rate: float, shifts: Array, *, comm: Comm = None
) -> Array:
    """Return sum_j exp(h_j - rate |x_i - y_j|^2 - u_i) v_j.

    Parameters
    ----------
    x : (n, d) float32 or float64, or PackedPoints
    y : (m, d), of the dtype of `x`
    values : (m, c)
        v_j.
    heights : (m,)
        h_j; minus infinity leaves a point out.
    rate : float
        Positive, in the inverse unit of the squared distance.
    shifts : (n,)
        u_i. With those that `log_sum_exp` returns, the weights of each x add up to one.
    comm : mpi4py communicator, optional
        As for `nearest`.

    Returns
    -------
    (n, c) of the dtype

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank; also where an exponential overflows.

    Notes
    -----
    About 2 d + 30 flops a pair for every four columns. Collective over `comm`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import log_sum_exp, weighted_sum
    >>> x, y, h = np.zeros((1, 1)), np.array([[1.0], [-1.0]]), np.log([1.0, 3.0])
    >>> weighted_sum(x, y, y, h, 2.0, log_sum_exp(x, y, h, 2.0))
    array([[-0.5]])
    """
    of_y = {"heights": heights, "values": values}
    packed, (u,), (y, h, v), ring = _prepared("weighted_sum", comm, x, y, of_x={"shifts": shifts}, of_y=of_y, rate=rate)
    x, xp, n, rate = packed.array, namespace(y), len(packed), _positive("rate", rate)
    columns = v.shape[1]
    packs = -(-columns // _COLUMNS)
    v = xp.concatenate([v, xp.zeros((len(v), packs * _COLUMNS - columns), x.dtype)], axis=1)
    out = xp.zeros((packs, n, _COLUMNS), x.dtype)
    kernel = get_kernel(_FILE, "weighted_sum", x.dtype)

    def reduce(start: int, y: Array, h: Array, v: Array) -> None:
        for p in range(packs):
            part = xp.ascontiguousarray(v[:, p * _COLUMNS : (p + 1) * _COLUMNS])
            if use_compiled(kernel, x):
                _launch(kernel, packed, y, h[:, 0], u, part, out[p], n, len(y), x.shape[1], rate)
            else:
                weighted_sum_reference(x, y, h[:, 0], u, part, out[p], rate)

    ring([y, h[:, None], v], reduce)
    result = xp.ascontiguousarray(xp.moveaxis(out, 0, 1).reshape(n, packs * _COLUMNS)[:, :columns])
    with agreed(comm, "weighted_sum"):
        if not bool(xp.isfinite(result).all()):
            raise InvalidValueError("exp(h - rate r - u) overflows; pass the result of log_sum_exp as shifts")
    return result


def weighted_sum_reference(x: Array, y: Array, h: Array, u: Array, v: Array, out: Array, rate: float) -> None:
    """Reference of the kernel `weighted_sum` in array calls."""
    xp = namespace(x)
    for rows, squared in _blocks(x, y):
        out[rows] += xp.exp(h[None, :] - x.dtype.type(rate) * squared - u[rows, None]) @ v


def steepest(
    x: Array | PackedPoints, labels: Array, *, classes: bool = False, comm: Comm = None
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
        Zero where all labels are equal, infinite where points of different labels coincide.
    index : (n,) int64
        The lowest j of those as steep, -1 where all labels are equal.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank.

    Notes
    -----
    The largest slope is the label sharpness of a training set. Collective over `comm`.

    References
    ----------
    Konz and Mazurowski, ICLR 2024, definition of K_F.

    Examples
    --------
    >>> from sci.linalg import steepest
    >>> steepest([[0.0], [2.0], [3.0]], [0, 1, 0])
    (array([0.5, 1. , 1. ]), array([1, 2, 1]))
    """
    packed, (own,), (y,), ring = _prepared("steepest", comm, x, None, of_x={"labels": labels}, classes=bool(classes))
    x, xp, n = packed.array, namespace(y), len(packed)
    ratio, index = xp.full(n, -1, x.dtype), xp.full(n, _NOBODY)
    kernel = get_kernel(_FILE, "steepest", x.dtype, bool(classes))

    def reduce(start: int, y: Array, labels: Array) -> None:
        if use_compiled(kernel, x):
            _launch(kernel, packed, y, own, labels[:, 0], ratio, index, n, len(y), x.shape[1], start)
        else:
            steepest_reference(x, y, own, labels[:, 0], ratio, index, start, bool(classes))

    ring([y, own[:, None]], reduce)
    found = ratio >= 0
    return xp.sqrt(xp.where(found, ratio, 0)), xp.where(found, index, -1)


def steepest_reference(
    x: Array, y: Array, own: Array, labels: Array, ratio: Array, index: Array, start: int, classes: bool
) -> None:
    """Reference of the kernel `steepest` in array calls."""
    xp = namespace(x)
    for rows, squared in _blocks(x, y):
        step = own[rows, None] - labels[None, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = xp.where(step != 0, (1 if classes else step * step) / squared, -1).astype(x.dtype)
        where = slope.argmax(axis=1)
        best, number = xp.take_along_axis(slope, where[:, None], axis=1)[:, 0], start + where
        better = (best > ratio[rows]) | ((best == ratio[rows]) & (best >= 0) & (number < index[rows]))
        ratio[rows], index[rows] = xp.where(better, best, ratio[rows]), xp.where(better, number, index[rows])


def _launch(kernel: Kernel, x: PackedPoints, y: Array, *arguments: Any) -> None:
    """Launch over the tiles of x, where there is anything to do."""
    if len(x) > 0 and len(y) > 0:
        launch(kernel, len(x.tiles), x.tiles, y, *arguments)


def _blocks(x: Array, y: Array) -> Iterator[tuple[slice, Array]]:
    """Yield blocks of rows of x with their squared distances (rows, m)."""
    rows = max(1, _PAIRS // max(1, y.size))
    for start in range(0, len(x) if len(y) else 0, rows):
        part = slice(start, min(start + rows, len(x)))
        difference = x[part, None, :] - y[None, :, :]
        yield part, (difference * difference).sum(axis=2)


class _Ring:
    """The points y of all ranks as they pass a rank; called with the own arrays of the rank and the work."""

    def __init__(self, comm: Comm, lengths: Sequence[int]) -> None:
        self._comm, self._lengths = comm, lengths
        self._starts = [0, *np.cumsum(self._lengths).tolist()]
        self.total, self.start = self._starts[-1], self._starts[rank_of(comm)]

    def __call__(self, arrays: Sequence[Array], reduce: Callable[..., None]) -> None:
        work = Deferred()
        for owner, visitors in ring_steps(arrays, self._lengths, self._comm):
            with work:
                reduce(self._starts[owner], *visitors)
        work.settle(self._comm)


def _prepared(
    operation: str,
    comm: Comm,
    x: Array | PackedPoints,
    y: Array | None,
    *,
    of_x: Mapping[str, Array] | None = None,
    of_y: Mapping[str, Array] | None = None,
    **same: Any,
) -> tuple[PackedPoints, list[Array], list[Array], _Ring]:
    """Check points and the arrays beside them on all ranks; return x, what is beside it, and y with its own.

    The points y are those of x unless given.
    """
    of_x, of_y = of_x or {}, of_y or {}
    with agreed(comm, operation) as agreement:
        agreement.same(**same)
        packed = x if isinstance(x, PackedPoints) else PackedPoints(x)
        x, xp = packed.array, namespace(packed.array, y, *of_x.values(), *of_y.values())
        y = x if y is None else as_finite(y, "y", shape=(None, x.shape[1]), dtype=_matching(y, x.dtype), xp=xp)
        beside_x = [_beside(array, name, len(x), x.dtype, xp) for name, array in of_x.items()]
        beside_y = [_beside(array, name, len(y), x.dtype, xp) for name, array in of_y.items()]
        agreement.same(ShapeError, d=x.shape[1])
        agreement.same(DTypeError, dtype=str(x.dtype))
        agreement.gather(len(y))
    ring = _Ring(comm, agreement.table[:, 0].tolist())
    if ring.total == 0:
        raise InvalidValueError(f"{operation} needs at least one point in y; it has none")
    return packed, beside_x, [y, *beside_y], ring


def _beside(array: Array, name: str, n: int, dtype: Any, xp: Any) -> Array:
    """Return an array with a row for each of n points; heights and shifts may be minus infinity."""
    shape = (n, None) if name == "values" else (n,)
    if name not in ("heights", "shifts"):
        return as_finite(array, name, shape=shape, dtype=dtype, xp=xp)
    found = array if hasattr(array, "dtype") else xp.asarray(array)
    left_out = found == -np.inf
    checked = as_finite(xp.where(left_out, 0, found), name, shape=shape, dtype=dtype, xp=xp)
    return xp.where(left_out, np.array(-np.inf, dtype), checked)


def _matching(y: Any, dtype: Any) -> Any:
    """Return the dtype, which `y` must have if it is an array of floats.

    Raises
    ------
    DTypeError
    """
    found = getattr(y, "dtype", None)
    if found is not None and found.kind == "f" and found != dtype:
        raise DTypeError(f"x is {np.dtype(dtype)} and y is {found}; convert one of them")
    return dtype


def _positive(name: str, value: Any) -> float:
    """Return a positive finite number.

    Raises
    ------
    InvalidValueError
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{name} is {value!r}; expected a positive number") from error
    if not 0 < number < np.inf:
        raise InvalidValueError(f"{name} is {value!r}; expected a positive finite number")
    return number
