"""The input of softmax attention over ranks, checked and agreed upon by all, and the keys that each query sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.distributed import Comm, Layout, agreed, form, positions, rank_of, size, unshard
from sci.errors import DecompositionError, InvalidValueError, ShapeError
from sci.sequence.attention.tiles import MAX_HEAD_DIM, KeyRange
from sci.sequence.checks import (
    check_choice,
    check_dtypes,
    check_finite,
    fingerprint,
    require_sharded,
    scale_or,
    working_dtype,
)

__all__ = [
    "METHODS",
    "AttentionMethod",
    "Problem",
    "Sequences",
    "agreed_problem",
    "check_heads",
    "checked_blocks",
    "flat_heads",
]

AttentionMethod: TypeAlias = Literal["ring", "rsa", "ulysses"]
METHODS = ("ring", "rsa", "ulysses")
_LAYOUTS = ("contiguous", "zigzag", "striped")


@dataclass(frozen=True)
class Sequences:
    """The layout of one sequence over the ranks, the lengths of its parts, its documents, and the blocks of a mask."""

    layout: Layout
    lengths: tuple[int, ...]
    causal: bool
    segments: np.ndarray | None
    blocks: tuple[int, ...] | None = None

    @property
    def n(self) -> int:
        """Length of the whole sequence."""
        return sum(self.lengths)

    def positions(self, rank: int) -> np.ndarray:
        """Return the positions that `rank` owns, in increasing order."""
        return positions(self.n, layout=self.layout, rank=rank, size=len(self.lengths))

    def padding(self, rank: int) -> np.ndarray:
        """Return True for each token of `rank` that belongs to no document and sees nothing, (length,)."""
        positions = self.positions(rank)
        return np.zeros(positions.size, bool) if self.segments is None else self.segments[positions] < 0

    def key_range(self, positions: np.ndarray, xp: Any) -> KeyRange:
        """Return the range that the queries at `positions` see: their document, if causal up to themselves, and with
        blocks up to the end of their block."""
        if self.segments is None:
            low, high = np.zeros_like(positions), np.full_like(positions, self.n - 1)
        else:
            low, high = (bound[positions] for bound in _documents(self.segments))
        if self.causal:
            high = np.minimum(high, positions)
        if self.blocks is not None:
            ends = np.cumsum(self.blocks)
            high = np.minimum(high, ends[np.searchsorted(ends, positions, side="right")] - 1)
        return KeyRange(to_device(low, xp), to_device(high, xp))


def _documents(segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last position of each token's document; 0 and -1 for padding.

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
    """Flat arrays (heads, length, head_dim) of one rank, and the arguments that all ranks share."""

    q: Array
    k: Array
    v: Array
    scale: float
    dtype: np.dtype[Any]
    """The dtype of sums: never narrower than that of the arrays."""
    sequences: Sequences
    method: AttentionMethod
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


def flat_heads(array: Array, dtype: Any = None) -> Array:
    """Return (..., n, d) as a C-contiguous (heads, n, d), in `dtype` if given."""
    return (
        namespace(array).ascontiguousarray(array, dtype=dtype).reshape(math.prod(array.shape[:-2]), *array.shape[-2:])
    )


def check_heads(**arrays: Array) -> None:
    """Raise unless the arrays, by name, have one shape (..., heads, length, head_dim) and one dtype, and are finite.

    Raises
    ------
    ShapeError, DTypeError, DeviceMismatchError, InvalidValueError
    """
    first, like = next(iter(arrays.items()))
    shape = tuple(getattr(like, "shape", ()))
    if not 3 <= len(shape) <= 7:
        raise ShapeError(
            f"{first} has shape {shape}; expected (heads, length, head_dim), or that with up to four leading axes"
        )
    for name, array in arrays.items():
        if tuple(getattr(array, "shape", ())) != shape:
            raise ShapeError(f"{name} has shape {tuple(array.shape)}, {first} {shape}; expected one shape")
    if not 1 <= shape[-1] <= MAX_HEAD_DIM:
        raise ShapeError(f"head_dim is {shape[-1]}; expected 1 to {MAX_HEAD_DIM}")
    check_dtypes(arrays)
    check_finite(arrays)


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


def checked_blocks(blocks: Sequence[int] | None, causal: bool) -> tuple[int, ...] | None:
    """Return the lengths of the blocks of a mask as a tuple of positive integers, or None.

    Raises
    ------
    InvalidValueError
        Also for blocks of a causal mask: each is a mask of its own.
    """
    if blocks is None:
        return None
    lengths = tuple(map(int, blocks))
    if not lengths or min(lengths) < 1:
        raise InvalidValueError(f"blocks are {tuple(blocks)}; expected one positive length or more, like (1, 4, 9)")
    if causal:
        raise InvalidValueError("causal is true, and blocks are given; expected one of the two masks")
    return lengths


def _require_covering(blocks: tuple[int, ...] | None, n: int) -> None:
    """Raise on all ranks alike unless the blocks cover a sequence of n tokens."""
    if blocks is not None and sum(blocks) != n:
        raise ShapeError(f"blocks have {sum(blocks)} tokens in all, and the ranks hold {n}; expected as many")


def agreed_problem(
    q: Array,
    k: Array,
    v: Array,
    *,
    causal: bool,
    blocks: Sequence[int] | None,
    scale: float | None,
    method: AttentionMethod,
    layout: Layout,
    segments: Array | None,
    precision: str | None,
    length: int | None,
    comm: Comm,
) -> Problem:
    """Check the arguments of `softmax_attention` on all ranks and return the problem; collective."""
    with agreed(comm, "softmax_attention") as agreement:
        check_heads(q=q, k=k, v=v)
        value = scale_or(scale, q.shape[-1] ** -0.5)
        dtype = working_dtype(q.dtype, precision)
        ids = _local_segments(segments, q.shape[-2])
        check_choice(method, METHODS, "method")
        check_choice(layout, _LAYOUTS, "layout")
        ends = checked_blocks(blocks, bool(causal))
        agreement.same(q=form(q, free=[-2]), causal=bool(causal), scale=value, method=method, layout=layout)
        agreement.same(precision=dtype.name, segments=ids is not None, length=length, blocks=ends)
        agreement.gather(q.shape[-2], fingerprint(k, v, comm))
    lengths, prints = agreement.table.T
    require_sharded(lengths.tolist(), length, prints, f"shard(x, comm, -2, {layout!r})")
    _check_layout(lengths.tolist(), layout)
    _require_covering(ends, sum(lengths.tolist()))
    if ids is not None:
        ids = unshard(ids, comm, 0, layout)
        _documents(ids)
    sequences = Sequences(layout, tuple(lengths.tolist()), bool(causal), ids, ends)
    return Problem(
        flat_heads(q), flat_heads(k), flat_heads(v), value, dtype, sequences, method, comm, tuple(q.shape[:-2])
    )


def _check_layout(lengths: list[int], layout: Layout) -> None:
    """Raise on all ranks alike if a rank holds another number of tokens than the layout gives it."""
    n = sum(lengths)
    for rank, held in enumerate(lengths):
        expected = positions(n, layout=layout, rank=rank, size=len(lengths)).size
        if held != expected:
            raise DecompositionError(
                f"rank {rank} holds {held} of {n} tokens; expected {expected} in the layout {layout!r}: "
                "pass shard(x, comm, -2, layout)"
            )
