"""Points of both sides of a reduction: checked on all ranks, packed for the kernels, and passed round the ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_finite, namespace
from sci.distributed import Comm, Deferred, agreed, rank_of, ring_steps
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.kernels import Kernel, block_size, launch

__all__ = ["FILE", "NOBODY", "PackedPoints", "Ring", "blocks", "launch_over", "prepared"]

FILE = "linalg/pairwise.cu"
"""Source of the kernels."""
NOBODY = np.iinfo(np.int64).max
"""Number of a point that does not exist."""
_PAIRS = 1_000_000
"""Pairs of one block of a reference."""


@entry
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

    def __init__(self, x: ArrayLike) -> None:
        dtype = np.float32 if getattr(x, "dtype", None) == np.float32 else np.float64
        self.array = _with_squares(as_finite(x, "x", shape=(None, None), dtype=dtype), "x")
        n, d = self.array.shape
        if d == 0:
            raise ShapeError("x has no coordinates; expected (n, d) with d at least 1")
        xp, block = namespace(self.array), block_size(self.array)
        count = -(-n // block)
        whole = n // block
        self.tiles = xp.zeros((count, d, block), dtype)
        self.tiles[:whole] = self.array[: whole * block].reshape(whole, block, d).transpose(0, 2, 1)
        self.tiles[whole:, :, : n - whole * block] = self.array[whole * block :].T

    def __len__(self) -> int:
        return int(self.array.shape[0])

    def __repr__(self) -> str:
        n, d = self.array.shape
        return f"PackedPoints({n} points of dimension {d}, {self.array.dtype})"


def prepared(
    operation: str,
    comm: Comm,
    x: Array | PackedPoints,
    y: Array | None,
    *,
    of_x: Mapping[str, Array] | None = None,
    of_y: Mapping[str, Array] | None = None,
    **same: Any,
) -> tuple[PackedPoints, list[Array], list[Array], Ring]:
    """Check points and the arrays beside them on all ranks; return x, what is beside it, and y with its own.

    The points y are those of x unless given.
    """
    of_x, of_y = of_x or {}, of_y or {}
    with agreed(comm, operation) as agreement:
        agreement.same(**same)
        packed = x if isinstance(x, PackedPoints) else PackedPoints(x)
        x, xp = packed.array, namespace(packed.array, y, *of_x.values(), *of_y.values())
        if y is None:
            y = x
        else:
            shape = (None, x.shape[1])
            y = _with_squares(as_finite(y, "y", shape=shape, dtype=_matching(y, x.dtype), xp=xp), "y")
        beside_x = [_beside(array, name, len(x), x.dtype, xp) for name, array in of_x.items()]
        beside_y = [_beside(array, name, len(y), x.dtype, xp) for name, array in of_y.items()]
        agreement.same(ShapeError, d=x.shape[1])
        agreement.same(DTypeError, dtype=str(x.dtype))
        agreement.gather(len(y))
    ring = Ring(comm, agreement.table[:, 0].tolist())
    if ring.total == 0:
        raise InvalidValueError(f"{operation} needs at least one point in y; it has none")
    return packed, beside_x, [y, *beside_y], ring


def _whole_labels(labels: Array, n: int, dtype: Any, xp: Any) -> Array:
    """Return labels in the dtype of the points.

    Raises
    ------
    InvalidValueError
        If two that differ would become equal.
    """
    given = labels if hasattr(labels, "dtype") else xp.asarray(labels)
    found = as_finite(given, "labels", shape=(n,), dtype=dtype, xp=xp)
    if not bool((found == given).all()) or (given.dtype.kind in "iu" and n and int(abs(given).max()) > 2**53):
        raise InvalidValueError(
            f"labels hold numbers that {np.dtype(dtype)}, the dtype of x, cannot tell apart; pass x in float64, or "
            "smaller labels"
        )
    return found


def _with_squares(points: Array, name: str) -> Array:
    """Return points whose squared distances are numbers of their dtype.

    Raises
    ------
    InvalidValueError
    """
    limits = np.finfo(points.dtype)
    largest = float(abs(points).max()) if points.size else 0.0
    high = (float(limits.max) / 8 / max(1, points.shape[-1])) ** 0.5
    low = (float(limits.tiny) / float(limits.eps) ** 2) ** 0.5
    if largest > high or 0 < largest < low:
        raise InvalidValueError(
            f"{name} holds numbers up to {largest:.3g}, whose squares leave {points.dtype}; expected {low:.0e} to "
            f"{high:.0e}: choose another unit{', or float64' if points.dtype == np.float32 else ''}"
        )
    return points


def _beside(array: Array, name: str, n: int, dtype: Any, xp: Any) -> Array:
    """Return an array with a row for each of n points; heights and shifts may be minus infinity."""
    shape = (n, None) if name == "values" else (n,)
    if name == "labels":
        return _whole_labels(array, n, dtype, xp)
    if name not in ("heights", "shifts"):
        return as_finite(array, name, shape=shape, dtype=dtype, xp=xp)
    found = array if hasattr(array, "dtype") else xp.asarray(array)
    left_out = found == -np.inf
    checked = as_finite(xp.where(left_out, 0, found), name, shape=shape, dtype=dtype, xp=xp)
    return xp.where(left_out, np.dtype(dtype).type(-np.inf), checked)


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


class Ring:
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


def launch_over(kernel: Kernel, x: PackedPoints, y: Array, *arguments: Any) -> None:
    """Launch over the tiles of x, where there is anything to do."""
    if len(x) > 0 and len(y) > 0:
        launch(kernel, len(x.tiles), x.tiles, y, *arguments)


def blocks(x: Array, y: Array) -> Iterator[tuple[slice, Array]]:
    """Yield blocks of rows of x with their squared distances (rows, m)."""
    rows = max(1, _PAIRS // max(1, y.size))
    for start in range(0, len(x) if len(y) else 0, rows):
        part = slice(start, min(start + rows, len(x)))
        difference = x[part, None, :] - y[None, :, :]
        yield part, (difference * difference).sum(axis=2)
