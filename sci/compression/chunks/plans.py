"""Where a large array is cut into chunks, and how much error each chunk may have so that the whole keeps its bound."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from sci.compression.chunks.shares import BINS, same_step, spectrum_of
from sci.compression.fields.bounds import norm_of
from sci.compression.fields.field import BoundKind
from sci.distributed import Comm, agreed, allgather_rows, rank_of, size
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = [
    "CHUNK_VALUES",
    "ChunkPlan",
    "Edges",
    "absolute_tolerance",
    "blocks_of",
    "chunk_edges",
    "folded",
    "plan_chunks",
]

Edges: TypeAlias = tuple[tuple[int, ...], ...]

CHUNK_VALUES = 2**21
"""Numbers of a chunk at most, unless told otherwise: 16 MiB in double precision."""
MOST_AXES = 4
"""Axes of a field that `compress` takes."""
THICK = 32
"""Length of a chunk along an axis below which it is not cut unasked: correlation along that axis would be lost."""
SHAVED = 1 - 1e-9
"""Part of the tolerance that is shared, so that rounding of the sums cannot break the bound."""

_LEAST_PART = 1e-100
"""The least relative error for which shares are estimated; those of a smaller one are the same."""
_LEAST_SHARE = 1e-5
"""The least tolerance of a chunk, in parts of an even share: `SHAVED` leaves room for it."""


@dataclass(frozen=True, eq=False)
class ChunkPlan:
    """Chunks of an array, and the absolute error that each may have.

    Parameters
    ----------
    shape : tuple of int
    dtype : {"float32", "float64"}
    edges : tuple of tuples of int
        For each of the first axes the places where chunks begin, and the length of the axis at the end.
    tolerances : (chunks,) float64 array
        Largest error of each chunk in C order, in units of the array: L2 norm, or maximum.
    bound : "l2" or "maximum"
    l2_norm, value_range : float
        Of the whole array.
    integral : bool
        Every number of the array is an integer.
    """

    shape: tuple[int, ...]
    dtype: str
    edges: Edges
    tolerances: np.ndarray
    bound: BoundKind
    l2_norm: float
    value_range: float
    integral: bool

    def __repr__(self) -> str:
        return f"ChunkPlan({len(self.tolerances)} chunks of {' x '.join(map(str, self.shape))}, bound={self.bound!r})"


def chunk_edges(shape: Sequence[int], chunk: int | Sequence[int] | None = None) -> Edges:
    """Return the places where chunks begin and end along the first axes of an array.

    Parameters
    ----------
    shape : sequence of int
    chunk : int or sequence of int, optional
        Lengths of a chunk along the first axes; the others stay whole. Unless given, as few chunks as have at most
        2^21 numbers, cut along the first axes, and along none thinner than 32 while another can be cut.

    Returns
    -------
    tuple of tuples of int

    Raises
    ------
    InvalidValueError, ShapeError
        For lengths below 1, or more of them than axes.
    """
    if not shape:
        raise ShapeError("the array is one number; expected at least one axis to cut into chunks")
    if not all(shape):
        raise ShapeError(f"the field has shape {tuple(shape)}; expected at least one number")
    lengths = _lengths(shape) if chunk is None else _given(shape, chunk)
    return tuple(_cut(n, length, even=chunk is None) for n, length in zip(shape, lengths))


def _lengths(shape: Sequence[int]) -> list[int]:
    """Return lengths along the first axes of chunks of at most `CHUNK_VALUES` numbers."""
    lengths: list[int] = []
    before = 1
    for axis, n in enumerate(shape):
        rest = math.prod(shape[axis + 1 :])
        lengths.append(min(n, max(1, THICK, CHUNK_VALUES // max(1, before * rest))))
        before *= lengths[-1]
        if before * rest <= CHUNK_VALUES:
            break
    return lengths


def _given(shape: Sequence[int], chunk: int | Sequence[int]) -> list[int]:
    try:
        lengths = [operator.index(n) for n in (chunk if isinstance(chunk, Sequence) else (chunk,))]
    except TypeError as error:
        raise InvalidValueError(
            f"chunk is {chunk!r}; expected an integer, or one for each of the first axes"
        ) from error
    if not 1 <= len(lengths) <= len(shape) or min(lengths) < 1:
        raise InvalidValueError(
            f"chunk is {chunk!r}; expected one to {len(shape)} lengths of at least 1 for shape {tuple(shape)}"
        )
    return lengths


def _cut(n: int, length: int, *, even: bool) -> tuple[int, ...]:
    parts = max(1, -(-n // length))
    if even:
        return tuple(n * k // parts for k in range(parts + 1))
    return (*range(0, max(n, 1), length), n)


def blocks_of(shape: Sequence[int], edges: Edges) -> Iterator[tuple[slice, ...]]:
    """Yield the place of each chunk, in C order."""
    cuts = [[slice(a, b) for a, b in itertools.pairwise(axis)] for axis in edges]
    rest = tuple(slice(0, n) for n in shape[len(edges) :])
    for block in itertools.product(*cuts):
        yield (*block, *rest)


def folded(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape in which a chunk is compressed: of more than four axes the first become one."""
    extra = len(shape) - MOST_AXES
    return tuple(shape) if extra <= 0 else (math.prod(shape[: extra + 1]), *shape[extra + 1 :])


def plan_chunks(
    field: Any,
    tol: float,
    *,
    bound: BoundKind = "l2",
    relative: bool = True,
    chunk: int | Sequence[int] | None = None,
    comm: Comm = None,
) -> ChunkPlan:
    """Return the chunks of an array and the error that each may have; the array is read once, chunk by chunk.

    Parameters
    ----------
    field : array
        float32 or float64; or anything with `shape`, `dtype` and slices, like a dataset of HDF5. The same on all
        ranks, which read different chunks of it.
    tol, bound, relative, chunk
        As in `compress_grid`.
    comm : mpi4py communicator, optional

    Returns
    -------
    ChunkPlan

    Raises
    ------
    InvalidValueError, DTypeError, ShapeError
        On every rank.

    Notes
    -----
    Collective. In L2 each chunk may have the squared error that one step of quantization in all of them would leave,
    see `sci.compression.chunks.shares`; this takes a cosine transform of each chunk.
    """
    with agreed(comm, "plan_chunks") as agreement:
        shape, dtype = tuple(int(n) for n in field.shape), np.dtype(field.dtype)
        agreement.same(shape=shape, dtype=dtype.str, tol=tol, bound=bound, relative=relative, chunk=chunk)
        if dtype not in (np.float32, np.float64):
            raise DTypeError(f"the field has dtype {dtype}; expected float32 or float64")
        edges = chunk_edges(shape, chunk)
        if bound not in ("l2", "maximum"):
            raise InvalidValueError(f"bound is {bound!r}; expected 'l2' or 'maximum'")
        if not (0 < tol < math.inf):
            raise InvalidValueError(f"tol is {tol}; expected a finite number above 0")
        places = list(blocks_of(shape, edges))
        rank, ranks = rank_of(comm), size(comm)
        spectral = bound == "l2" and len(places) > 1
        mine = [_summary(np.asarray(field[place]), place, spectral) for place in places[rank::ranks]]
    summaries = _in_order(np.array(mine).reshape(-1, 4 + 2 * BINS * spectral), len(places), comm)
    norms, low, high, integral = summaries[:, :4].T
    l2_norm, value_range = math.hypot(*norms), float(high.max()) - float(low.min())
    total = absolute_tolerance(tol, (l2_norm if bound == "l2" else value_range) if relative else 1.0)
    tolerances = np.full(len(places), total)
    if spectral and l2_norm > 0:
        part = min(max(total / l2_norm, _LEAST_PART), 1 / _LEAST_PART)
        shares = same_step(part**2, norms / l2_norm, summaries[:, 4:].reshape(-1, 2, BINS))
        least = _LEAST_SHARE * total / math.sqrt(len(places))
        tolerances = np.where(norms > 0, np.maximum(total / part * np.sqrt(shares), least), 0.0)
    return ChunkPlan(shape, dtype.name, edges, tolerances, bound, l2_norm, value_range, bool(integral.all()))


def absolute_tolerance(tol: float, unit: float) -> float:
    """Return tol times its unit with what is kept back for rounding of sums, at most the largest float64."""
    return min(SHAVED * tol * unit, float(np.finfo(np.float64).max))


def _in_order(rows: np.ndarray, count: int, comm: Comm) -> np.ndarray:
    """Return the rows of all chunks in their order; rank r passes those of chunks r, r + ranks, ..."""
    arrived, ranks = allgather_rows(rows, comm), size(comm)
    order = np.concatenate([np.arange(rank, count, ranks) for rank in range(ranks)])
    found = np.empty_like(arrived)
    found[order] = arrived
    return np.asarray(found)


def _summary(values: np.ndarray, place: tuple[slice, ...], spectral: bool) -> np.ndarray:
    """Return the L2 norm, the least and largest number, whether all are integers, and `spectrum_of` if asked."""
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        where = np.argwhere(~np.isfinite(values))[0] + [s.start for s in place]
        raise InvalidValueError(f"the field holds NaN or Inf at {tuple(where.tolist())}; expected finite numbers")
    norm = norm_of(values)
    spectrum = spectrum_of(values.reshape(folded(values.shape)), norm).ravel() if spectral else np.empty(0)
    return np.array([norm, low, high, (values == np.rint(values)).all(), *spectrum], np.float64)
