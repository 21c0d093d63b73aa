"""The input of softmax attention over ranks, checked and agreed upon by all."""

from __future__ import annotations

import math
import operator
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from sci.backend import Array, namespace, to_host
from sci.distributed import Comm, Layout, agreed, allgather_rows, form, positions, rank_of, size, unshard
from sci.errors import DecompositionError, InvalidValueError, ShapeError
from sci.sequence.attention.pattern import Pattern, Window
from sci.sequence.attention.scores import (
    Scores,
    checked_cap,
    checked_planes,
    checked_rate,
    checked_slopes,
    require_method,
)
from sci.sequence.checks import (
    check_choice,
    check_dtypes,
    check_finite,
    fingerprint,
    require_sharded,
    scale_or,
    working_dtype,
)
from sci.sequence.tiles.attend import MAX_HEAD_DIM
from sci.sequence.tiles.rules import PairScore, Planes, Rules
from sci.sequence.tiles.seen import Seen
from sci.sequence.tiles.units import fits_units

__all__ = [
    "METHODS",
    "AttentionMethod",
    "Options",
    "Problem",
    "agreed_problem",
    "check_arrays",
    "check_heads",
    "checked_blocks",
    "checked_window",
    "flat_heads",
]

AttentionMethod: TypeAlias = Literal["ring", "rsa", "ulysses"]
METHODS = ("ring", "rsa", "ulysses")
_LARGEST_ID = 2**63 - 1
_FAR = 2**61
"""A distance beyond all tokens, twice of which fits 64 bits."""
_LAYOUTS = ("contiguous", "zigzag", "striped")


@dataclass(frozen=True)
class Problem:
    """Flat arrays (heads, length, width) of one rank, and the arguments that all ranks share."""

    q: Array
    k: Array
    v: Array
    scale: float
    dtype: np.dtype[Any]
    """The dtype of sums: never narrower than that of the arrays."""
    pattern: Pattern
    scores: Scores
    method: AttentionMethod
    comm: Comm
    leading: tuple[int, ...]
    key_leading: tuple[int, ...]
    sink_logits: Array | None = None
    bias_shape: tuple[int, ...] | None = None
    """The shape of the argument; its rows are all queries' where `bias_is_shared`."""
    bias_is_shared: bool = False
    sums: list[Array] = field(default_factory=list)
    """The gradient for the parameters of a callable, one array or none."""
    narrow: bool = False
    """Whether matrix units multiply the arrays as they are, of 16 bits."""

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

    def operand(self, array: Array) -> Array:
        """Return `array` as the tiles multiply it, C-contiguous: as it is for matrix units, else `working`."""
        return namespace(array).ascontiguousarray(array) if self.narrow else self.working(array)

    def seen(self, owner: int) -> list[Seen]:
        """Return the keys of `owner` that this rank's queries see."""
        pattern = self.pattern
        return pattern.seen(pattern.queries(self.rank), pattern.keys(owner), pattern.row_of(self.k.shape[0]))

    def rules(self, owner: int) -> Rules:
        """Return the rules for this rank's queries and the keys of `owner`."""
        pattern = self.pattern
        return self.scores.rules(pattern, pattern.queries(self.rank), pattern.keys(owner), self.sums)

    def blank(self, queries: Array) -> tuple[Array, Array]:
        """Return the state of attention before any key, for queries (heads, n, d)."""
        xp = namespace(queries)
        out = xp.zeros((*queries.shape[:2], self.v.shape[2]), self.dtype)
        return out, xp.full(queries.shape[:2], -xp.inf, self.dtype)


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
    shape = _checked_shape(first, like)
    for name, array in arrays.items():
        if tuple(getattr(array, "shape", ())) != shape:
            raise ShapeError(f"{name} has shape {tuple(array.shape)}, {first} {shape}; expected one shape")
    _check_width("head_dim", shape[-1])
    check_dtypes(arrays)
    check_finite(arrays)


def _checked_shape(name: str, array: Array) -> tuple[int, ...]:
    shape = tuple(getattr(array, "shape", ()))
    if not 3 <= len(shape) <= 7:
        raise ShapeError(
            f"{name} has shape {shape}; expected (heads, length, head_dim), or that with up to four leading axes"
        )
    return shape


def _check_width(name: str, width: int) -> None:
    if not 1 <= width <= MAX_HEAD_DIM:
        raise ShapeError(f"{name} is {width}; expected 1 to {MAX_HEAD_DIM}")


def check_arrays(q: Array, k: Array, v: Array) -> None:
    """Raise unless k and v are keys and values for the queries, of one dtype, finite.

    Raises
    ------
    ShapeError, DTypeError, DeviceMismatchError, InvalidValueError
    """
    of_q, of_k, of_v = (_checked_shape(name, a) for name, a in (("q", q), ("k", k), ("v", v)))
    if of_k[:-1] != of_v[:-1]:
        raise ShapeError(f"v has shape {of_v}, k {of_k}; expected one shape but for the last axis")
    heads, own = of_q[-3], of_k[-3]
    if len(of_k) != len(of_q) or of_k[:-3] != of_q[:-3] or of_k[-1] != of_q[-1] or (heads % own if own else heads):
        raise ShapeError(
            f"k has shape {of_k}, q {of_q}; expected the same leading axes and head_dim, and a number of heads that "
            "divides that of q"
        )
    _check_width("head_dim", of_q[-1])
    _check_width("the width of v", of_v[-1])
    arrays = {"q": q, "k": k, "v": v}
    check_dtypes(arrays)
    check_finite(arrays)


def _local_documents(segments: Any, name: str, leading: tuple[int, ...], length: int) -> np.ndarray | None:
    """Return the documents of this rank's tokens, (rows, length), one row or one for each index of the batch axes."""
    if segments is None:
        return None
    ids = to_host(segments)
    batch = leading[:-1]
    fits = ids.ndim == 1 or (ids.ndim == len(batch) + 1 and ids.shape[:-1] == batch)
    if ids.dtype.kind not in "iu" or not fits or ids.shape[-1] != length:
        shapes = f"({length},)" + (f" or {(*batch, length)}" if batch else "")
        raise ShapeError(
            f"{name} has dtype {ids.dtype} and shape {ids.shape}; expected integers of shape {shapes}, the document of "
            "each of this rank's tokens"
        )
    if ids.dtype == np.uint64 and ids.size and int(ids.max()) > _LARGEST_ID:
        raise InvalidValueError(f"{name} hold {int(ids.max())}; expected at most {_LARGEST_ID}")
    if 0 in batch:
        return np.zeros((1, length), np.int64)  # no batch, no head: any documents do
    return ids.astype(np.int64).reshape(math.prod(ids.shape[:-1]), length)


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


def checked_window(window: int | Sequence[int | None] | None, sink_tokens: int) -> Window | None:
    """Return the reach of a token before and after itself, or None for one that sees all.

    Raises
    ------
    InvalidValueError
        Also for sinks without a window.
    """
    if sink_tokens < 0 or (sink_tokens and window is None):
        raise InvalidValueError(f"sink_tokens is {sink_tokens}; expected 0 or more, and none without a window")
    if window is None:
        return None
    sides = tuple(window) if isinstance(window, Sequence) else (window, window)
    if len(sides) != 2 or any(side is not None and side < 0 for side in sides):
        raise InvalidValueError(f"window is {window}; expected one number of tokens, or (before, after), None for all")
    before, after = (None if side is None else min(operator.index(side), _FAR) for side in sides)
    return before, after


@dataclass(frozen=True)
class Options:
    """The options of `softmax_attention`."""

    causal: bool
    window: int | Sequence[int | None] | None
    sink_tokens: int
    blocks: Sequence[int] | None
    offset: int | None
    scale: float | None
    cap: float | None
    slopes: Any
    mask: Array | None
    score: PairScore | None
    dropout: float
    seed: int | None
    method: AttentionMethod
    layout: Layout
    segments: Array | None
    key_segments: Array | None
    precision: str | None
    length: int | None
    comm: Comm


@dataclass(frozen=True)
class _Local:
    """What one rank has checked."""

    scale: float
    dtype: np.dtype[Any]
    documents: tuple[np.ndarray | None, np.ndarray | None]
    blocks: tuple[int, ...] | None
    window: Window | None
    scores: Scores
    shapes: tuple[Any, Any]
    """What of bias and mask is the same on all ranks."""
    sinks: Array | None


def _checked(
    arrays: tuple[Array, Array, Array], bias: Array | None, sinks: Array | None, parameters: Array | None, o: Options
) -> _Local:
    """Check the arguments of one rank."""
    q, k, v = arrays
    check_arrays(q, k, v)
    leading, xp, dtype = tuple(q.shape[:-2]), namespace(q, k, v, bias, sinks), working_dtype(q.dtype, o.precision)
    ids = _local_documents(o.segments, "segments", leading, q.shape[-2])
    key_ids = _local_documents(o.key_segments, "key_segments", leading, k.shape[-2])
    _check_segments(ids, key_ids, q, k)
    check_choice(o.method, METHODS, "method")
    check_choice(o.layout, _LAYOUTS, "layout")
    rate, seed = checked_rate(o.dropout, o.seed)
    made = [_planes(a, name, leading, q, dtype) for a, name in ((bias, "bias"), (o.mask, "mask"))]
    scores = Scores(
        math.prod(leading),
        checked_cap(o.cap, dtype),
        checked_slopes(o.slopes, leading, dtype, xp),
        made[0][0],
        made[1][0],
        rate,
        seed,
        o.score,
        _checked_parameters(o.score, parameters),
        leading,
    )
    window = checked_window(o.window, o.sink_tokens)
    if o.offset is not None and abs(o.offset) > _FAR:
        raise InvalidValueError(f"offset is {o.offset}; expected a place among the keys, or near them")
    blocks, value = checked_blocks(o.blocks, bool(o.causal)), scale_or(o.scale, q.shape[-1] ** -0.5)
    shapes = (made[0][1], made[1][1])
    return _Local(
        value, dtype, (ids, key_ids), blocks, window, scores, shapes, _checked_sinks(sinks, leading, q, dtype)
    )


def agreed_problem(
    q: Array,
    k: Array,
    v: Array,
    bias: Array | None,
    sink_logits: Array | None,
    parameters: Array | None,
    o: Options,
) -> Problem:
    """Check the arguments of `softmax_attention` on all ranks and return the problem; collective."""
    with agreed(o.comm, "softmax_attention") as agreement:
        own = _checked((q, k, v), bias, sink_logits, parameters, o)
        scores, planes = own.scores, (own.scores.bias, own.scores.mask)
        agreement.same(q=form(q, free=[-2]), k=form(k, free=[-2]), v=form(v, free=[-2]), causal=bool(o.causal))
        agreement.same(scale=own.scale, method=o.method, layout=o.layout, precision=own.dtype.name, length=o.length)
        agreement.same(blocks=own.blocks, window=own.window, sink_tokens=o.sink_tokens, offset=o.offset)
        agreement.same(segments=_told(own.documents[0]), key_segments=_told(own.documents[1]))
        agreement.same(cap=scores.cap, slopes=scores.slopes, dropout=scores.rate, seed=scores.seed)
        agreement.same(bias=own.shapes[0], mask=own.shapes[1], sink_logits=sink_logits, parameters=parameters)
        agreement.same(score=None if o.score is None else "a callable")
        agreement.gather(
            q.shape[-2], fingerprint(k, v, o.comm), k.shape[-2], _print(scores.bias, o.comm), *map(_rows, planes)
        )
    lengths, prints, key_lengths, bias_prints, *rows = agreement.table.T
    require_sharded(lengths.tolist(), o.length, prints, f"shard(x, comm, -2, {o.layout!r})")
    _check_layout(lengths.tolist(), o.layout, "")
    _check_layout(key_lengths.tolist(), o.layout, " of the keys")
    pattern = Pattern(
        o.layout,
        tuple(lengths.tolist()),
        tuple(key_lengths.tolist()),
        bool(o.causal),
        own.window,
        min(o.sink_tokens, _FAR),
        own.blocks,
        o.offset,
        *_whole_documents(own.documents, o.layout, lengths.tolist(), key_lengths.tolist(), o.comm),
        placed=o.slopes is not None,
    )
    _require_covering(pattern)
    require_method(o.method, scores, pattern)
    shared = [_require_planes(p, name, r, lengths, pattern) for p, name, r in zip(planes, ("bias", "mask"), rows)]
    if shared[0] and (bias_prints != bias_prints[0]).any():
        raise InvalidValueError("the one row of bias, for all queries, differs between ranks; expected the same on all")
    queries, values = flat_heads(q), flat_heads(v)
    plain = o.precision is None and scores.has_cap_alone and not pattern.told_apart and o.method != "rsa"
    return Problem(
        queries,
        flat_heads(k),
        values,
        own.scale,
        own.dtype,
        pattern,
        scores,
        o.method,
        o.comm,
        tuple(q.shape[:-2]),
        tuple(k.shape[:-2]),
        own.sinks,
        None if bias is None else tuple(bias.shape),
        shared[0],
        narrow=plain and fits_units(queries, values),
    )


def _told(ids: np.ndarray | None) -> int:
    return 0 if ids is None else ids.shape[0]


def _rows(planes: Planes | None) -> int:
    """Return the rows of a plane; 0 without one."""
    return 0 if planes is None else int(planes.array.shape[1])


def _print(planes: Planes | None, comm: Comm) -> int:
    """Return a checksum of a bias with one row, 0 for others."""
    if size(comm) == 1 or _rows(planes) != 1 or planes is None:
        return 0
    return 1 + zlib.crc32(to_host(planes.array).tobytes())


def _planes(
    array: Array | None, name: str, leading: tuple[int, ...], q: Array, dtype: Any
) -> tuple[Planes | None, Any]:
    """Return the planes of a bias or a mask, and what of it is the same on all ranks."""
    if array is None:
        return None, None
    planes, full = checked_planes(array, name, leading, q.shape[-2], q, dtype)
    return planes, (*full[:-2], full[-1])


def _checked_parameters(score: PairScore | None, parameters: Array | None) -> Array | None:
    if parameters is not None:
        if score is None:
            raise InvalidValueError("parameters are given without score=, the callable that takes them")
        check_dtypes({"parameters": parameters})
        check_finite({"parameters": parameters})
    return parameters


def _checked_sinks(sinks: Array | None, leading: tuple[int, ...], q: Array, dtype: Any) -> Array | None:
    """Return one logit for each head of the batch."""
    if sinks is None:
        return None
    if tuple(getattr(sinks, "shape", ())) != leading[-1:]:
        raise ShapeError(f"sink_logits have shape {getattr(sinks, 'shape', ())}; expected {leading[-1:]}, one a head")
    check_dtypes({"q": q, "sink_logits": sinks})
    check_finite({"sink_logits": sinks})
    return namespace(sinks).tile(sinks.astype(dtype), math.prod(leading[:-1]))


def _check_segments(ids: np.ndarray | None, key_ids: np.ndarray | None, q: Array, k: Array) -> None:
    if key_ids is not None and ids is None:
        raise InvalidValueError("key_segments are given without segments; expected both")
    if ids is not None and key_ids is None and q.shape[-2] != k.shape[-2]:
        raise ShapeError(
            f"segments are given for {q.shape[-2]} queries, and there are {k.shape[-2]} keys; pass key_segments as well"
        )


def _whole_documents(
    documents: tuple[np.ndarray | None, np.ndarray | None],
    layout: Layout,
    lengths: list[int],
    key_lengths: list[int],
    comm: Comm,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the documents of all queries and of all keys, one array where they are the same."""
    ids, key_ids = documents
    if ids is None:
        return None, None
    rows = max(_told(ids), _told(key_ids))

    def whole(own: np.ndarray, counts: list[int]) -> np.ndarray:
        if layout == "contiguous":
            found = np.ascontiguousarray(allgather_rows(np.ascontiguousarray(own.T), comm).T)
        else:
            found = unshard(own, comm, 1, layout)
        return np.broadcast_to(found, (rows, sum(counts)))

    queries = whole(ids, lengths)
    return queries, queries if key_ids is None else whole(key_ids, key_lengths)


def _require_covering(pattern: Pattern) -> None:
    """Raise on all ranks alike unless the blocks cover the sequence, which attends to itself."""
    if pattern.blocks is None:
        return
    if pattern.n != pattern.m:
        raise ShapeError(f"blocks are given, and {pattern.n} queries meet {pattern.m} keys; expected as many")
    if sum(pattern.blocks) != pattern.n:
        raise ShapeError(
            f"blocks have {sum(pattern.blocks)} tokens in all, and the ranks hold {pattern.n}; expected as many"
        )


def _require_planes(planes: Planes | None, name: str, rows: np.ndarray, lengths: np.ndarray, pattern: Pattern) -> bool:
    """Raise on all ranks alike unless a bias or mask is for all keys; return whether all queries share its row."""
    if planes is None:
        return False
    columns = planes.array.shape[2]
    if columns not in (1, pattern.m):
        raise ShapeError(f"{name} has {columns} columns; expected {pattern.m}, all keys, or 1")
    shared = bool((rows == 1).all() and (lengths != 1).any())
    if not shared and (rows != lengths).any():
        raise ShapeError(f"{name} has {rows.tolist()} rows on the ranks; expected {lengths.tolist()}, or 1 on all")
    return shared


def _check_layout(lengths: list[int], layout: Layout, what: str) -> None:
    """Raise on all ranks alike if a rank holds another number of tokens than the layout gives it."""
    if layout == "contiguous":
        return
    n = sum(lengths)
    for rank, held in enumerate(lengths):
        expected = positions(n, layout=layout, rank=rank, size=len(lengths)).size
        if held != expected:
            raise DecompositionError(
                f"rank {rank} holds {held} of {n} tokens{what}; expected {expected} in the layout {layout!r}: "
                "pass shard(x, comm, -2, layout)"
            )
