"""One attention problem spread over ranks: its input, checked and agreed upon by all, and who sees whom."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sci.backend import Array, namespace, require_finite, to_device, to_host
from sci.distributed import Comm, Layout, positions, rank_of, size, unshard
from sci.distributed.agreement import verdict
from sci.distributed.communicators import channel_of
from sci.errors import DecompositionError, DTypeError, InvalidValueError, ShapeError
from sci.sequence.attention.tiles import MAX_HEAD_DIM, KeyRange

__all__ = [
    "METHODS",
    "Method",
    "Problem",
    "Sequences",
    "agreed_problem",
    "fingerprint",
    "narrowed",
    "require_sharded",
    "working_dtype",
]

Method: TypeAlias = Literal["ring", "rsa", "ulysses"]
METHODS = ("ring", "rsa", "ulysses")
_LAYOUTS = ("contiguous", "zigzag", "striped")
_WORKING = {"float16": "float32", "float32": "float32", "float64": "float64"}


@dataclass(frozen=True)
class Sequences:
    """How one sequence lies over the ranks: its layout, the lengths of the parts, and its documents."""

    layout: Layout
    lengths: tuple[int, ...]
    causal: bool
    segments: np.ndarray | None

    @property
    def n(self) -> int:
        """Length of the whole sequence."""
        return sum(self.lengths)

    def positions(self, rank: int) -> np.ndarray:
        """Return the positions that `rank` owns, in increasing order."""
        return positions(self.n, layout=self.layout, rank=rank, size=len(self.lengths))

    def key_range(self, positions: np.ndarray, xp: Any) -> KeyRange:
        """Return which positions the queries at `positions` see: their document's, up to their own if causal."""
        if self.segments is None:
            low, high = np.zeros_like(positions), np.full_like(positions, self.n - 1)
        else:
            low, high = (bound[positions] for bound in _documents(self.segments))
        if self.causal:
            high = np.minimum(high, positions)
        return KeyRange(to_device(low, xp), to_device(high, xp))


def _documents(segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last position of each token's document, 0 and -1 for a token of none.

    Raises
    ------
    InvalidValueError
        If an id comes back after another one.
    """
    starts = np.flatnonzero(np.diff(segments, prepend=segments[:1] - 1))
    ends = np.append(starts[1:], segments.size) - 1
    runs = np.repeat(np.arange(starts.size), ends - starts + 1)
    ids = segments[starts]
    used = ids[ids >= 0]
    if np.unique(used).size != used.size:
        raise InvalidValueError(
            "segments: an id comes back after another one; expected each document to be one run of positions"
        )
    padding = ids < 0
    return np.where(padding, 0, starts)[runs], np.where(padding, -1, ends)[runs]


@dataclass(frozen=True)
class Problem:
    """Flat arrays (heads, length, head_dim) of one rank, and what all ranks agreed upon."""

    q: Array
    k: Array
    v: Array
    scale: float
    dtype: np.dtype[Any]
    """The dtype of sums: never narrower than that of the arrays."""
    sequences: Sequences
    method: Method
    comm: Comm
    leading: tuple[int, ...]

    @property
    def rank(self) -> int:
        """This rank."""
        return rank_of(self.comm)

    @property
    def n_ranks(self) -> int:
        """Number of ranks."""
        return size(self.comm)

    def working(self, array: Array) -> Array:
        """Return `array` in the dtype of sums, C-contiguous."""
        return namespace(array).ascontiguousarray(array.astype(self.dtype, copy=False))

    def scaled_queries(self, q: Array) -> Array:
        """Return the queries times the scale in the dtype of sums."""
        return self.working(q) * self.dtype.type(self.scale)


def _flat(array: Array) -> Array:
    return namespace(array).ascontiguousarray(array).reshape(math.prod(array.shape[:-2]), *array.shape[-2:])


def _check_arrays(q: Array, k: Array, v: Array) -> None:
    for name, array in (("q", q), ("k", k), ("v", v)):
        if not hasattr(array, "dtype") or str(array.dtype) not in _WORKING:
            raise DTypeError(f"{name} has dtype {getattr(array, 'dtype', type(array))}; expected float16, 32 or 64")
        if not 3 <= array.ndim <= 7:
            raise ShapeError(
                f"{name} has shape {tuple(array.shape)}; expected (heads, length, head_dim), or that with leading axes"
            )
        if array.shape != q.shape or array.dtype != q.dtype:
            raise ShapeError(
                f"{name} has shape {tuple(array.shape)} and dtype {array.dtype}, q {tuple(q.shape)} and {q.dtype}; "
                "expected one shape and dtype"
            )
    namespace(q, k, v)
    if not 1 <= q.shape[-1] <= MAX_HEAD_DIM:
        raise ShapeError(f"head_dim is {q.shape[-1]}; expected 1 to {MAX_HEAD_DIM}")
    for name, array in (("q", q), ("k", k), ("v", v)):
        require_finite(array, name)


def _choice(value: Any, choices: Sequence[str], name: str) -> int:
    if value not in choices:
        raise InvalidValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")
    return list(choices).index(value)


def fingerprint(k: Array, v: Array, comm: Comm) -> int:
    """Return a checksum of some keys and values; 0 where they say nothing: too few, all alike, or on one rank."""
    heads = math.prod(k.shape[:-2])
    if heads == 0 or k.shape[-2] < 2 or size(comm) == 1:
        return 0
    chosen = np.linspace(0, k.shape[-2] - 1, 8).astype(int).tolist()
    xp = namespace(k, v)
    rows = to_host(xp.concatenate([a.reshape(heads, *a.shape[-2:])[0][chosen] for a in (k, v)], axis=1))
    return 0 if (rows == rows[0]).all() else 1 + zlib.crc32(rows.tobytes())


def _check_scale(scale: Any, head_dim: int) -> float:
    value = head_dim**-0.5 if scale is None else float(scale)
    if not np.isfinite(value):
        raise InvalidValueError(f"scale is {scale}; expected a finite number")
    return value


def _local_segments(segments: Any, length: int) -> np.ndarray | None:
    if segments is None:
        return None
    ids = to_host(segments)
    if ids.dtype.kind not in "iu" or ids.shape != (length,):
        raise ShapeError(
            f"segments has dtype {ids.dtype} and shape {ids.shape}; expected integers of shape ({length},), "
            "the document of each of this rank's tokens"
        )
    return ids.astype(np.int64)


def working_dtype(dtype: Any, precision: str | None) -> np.dtype[Any]:
    """Return the dtype of sums for input of `dtype`: float32 for float16, and at least `precision`."""
    least = np.dtype(_WORKING[str(dtype)])
    if precision is None:
        return least
    _choice(precision, ("float32", "float64"), "precision")
    return np.promote_types(least, precision)


def narrowed(array: Array, dtype: Any, name: str) -> Array:
    """Return `array` in `dtype`, which may be narrower.

    Raises
    ------
    InvalidValueError
        If it is not finite there.
    """
    require_finite(array, name)
    if array.size and float(namespace(array).abs(array).max()) > float(np.finfo(dtype).max):
        raise InvalidValueError(f"{name} exceeds the range of {dtype}; scale the input down, or pass a wider dtype")
    return array.astype(dtype, copy=False)


def agreed_problem(
    q: Array,
    k: Array,
    v: Array,
    *,
    causal: bool,
    scale: float | None,
    method: Any,
    layout: Any,
    segments: Any,
    precision: str | None,
    length: int | None,
    comm: Comm,
) -> Problem:
    """Check the arguments of `attention` on all ranks and return the problem; collective."""
    channel = channel_of(comm)
    error: Exception | None = None
    header = [0] * 20
    ids: np.ndarray | None = None
    try:
        _check_arrays(q, k, v)
        value = _check_scale(scale, q.shape[-1])
        dtype = working_dtype(q.dtype, precision)
        ids = _local_segments(segments, q.shape[-2])
        leading = [0] * (7 - q.ndim) + list(q.shape[:-2])
        chosen = [_choice(method, METHODS, "method"), _choice(layout, _LAYOUTS, "layout")]
        numbers = [q.ndim, q.shape[-1], q.dtype.itemsize, dtype.itemsize, bool(causal), ids is None, *chosen]
        bits = int(np.float64(value).view(np.int64))
        header = [q.shape[-2], fingerprint(k, v, comm), -1 if length is None else length, bits, *numbers, *leading]
        header += [0] * (20 - len(header))
    except Exception as caught:
        error = caught
    table = verdict(channel, error, header)
    lengths = tuple(table[:, 0].tolist())
    _check_table(table, lengths, layout)
    if ids is not None:
        ids = unshard(ids, comm, 0, layout)
        _documents(ids)
    sequences = Sequences(layout, lengths, bool(causal), ids)
    return Problem(_flat(q), _flat(k), _flat(v), value, dtype, sequences, method, comm, tuple(q.shape[:-2]))


def _check_table(table: np.ndarray, lengths: tuple[int, ...], layout: Layout) -> None:
    """Raise on all ranks alike if what they pass does not make one sequence."""
    if (table[:, 2:] != table[0, 2:]).any():
        other = int(np.flatnonzero((table[:, 2:] != table[0, 2:]).any(axis=1))[0])
        raise ShapeError(
            f"ranks 0 and {other} differ in the shape of their arrays (other than the length), in dtype or in an "
            "option; expected the same on all ranks"
        )
    require_sharded(lengths, int(table[0, 2]), table[:, 1], f"shard(x, comm, -2, {layout!r})")
    n = sum(lengths)
    for r, held in enumerate(lengths):
        expected = positions(n, layout=layout, rank=r, size=len(lengths)).size
        if held != expected:
            raise DecompositionError(
                f"rank {r} holds {held} of {n} tokens; expected {expected} in the layout {layout!r}: "
                "pass shard(x, comm, -2, layout)"
            )


def require_sharded(lengths: Sequence[int], whole: int, prints: np.ndarray, fix: str) -> None:
    """Raise on all ranks alike if what they hold is not one sequence cut into parts.

    Parameters
    ----------
    lengths : (n_ranks,) ints
        The tokens of each rank.
    whole : int
        How many they should be in all; below 0 if that is not known.
    prints : (n_ranks,) int array
        The `fingerprint` of each rank's keys and values: equal ones are taken for copies, where `whole` is not known.
    fix : str
        What to pass instead.
    """
    if whole >= 0 and sum(lengths) != whole:
        raise ShapeError(
            f"the ranks hold {sum(lengths)} tokens in all, and length is {whole}; pass this rank's part, {fix}"
        )
    if len(lengths) > 1 and whole < 0 and prints[0] != 0 and (prints == prints[0]).all():
        raise ShapeError(
            f"every rank passes the same keys and values, as if the sequence were not sharded; pass {fix}, or the "
            "length of the whole sequence, if it does repeat itself"
        )
