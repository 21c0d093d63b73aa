"""Large arrays in chunks that are compressed by themselves: one slab is read without the rest."""

from __future__ import annotations

import itertools
import json
import math
import operator
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.compression.chunks.plans import ChunkPlan, Edges, blocks_of, folded, plan_chunks
from sci.compression.fields.compress import compress
from sci.compression.fields.field import BoundKind, CompressedField
from sci.compression.fields.header import METHODS, Method
from sci.distributed import Comm, agreed, allgather_rows, rank_of, size
from sci.errors import InvalidValueError, ShapeError

__all__ = [
    "NUMBERS",
    "CompressedGrid",
    "compress_chunk",
    "compress_chunks",
    "compress_grid",
    "folded_axes",
    "joined",
    "of_one",
    "total_errors",
]

NUMBERS = ("tol", "l2_error", "maximum_error", "l2_norm", "value_range")
"""Numbers of a compressed chunk, beside its bytes."""
_NORMAL = float(np.finfo(np.float64).tiny)


@entry
@dataclass(frozen=True, eq=False, repr=False)
class CompressedGrid:
    """An array in compressed chunks; `grid[10:20]` decodes those that it meets, and no others.

    Parameters
    ----------
    shape : tuple of int
    dtype : {"float32", "float64"}
    edges : tuple of tuples of int
        For each of the first axes the places where chunks begin, and the length of the axis at the end.
    chunks : sequence of CompressedField
        In C order.
    tol : float
    bound : "l2" or "maximum"
    relative : bool
        Whether `tol` is in parts of the L2 norm, or of the range, of the whole array.
    l2_error, maximum_error : float
        Measured errors of the whole, in the units of the array.
    l2_norm, value_range : float
        L2 norm of the whole array, and its largest number less its smallest.
    times : (shape[0],) float64 array, optional
        Of the frames of a series.

    Raises
    ------
    ShapeError
        If the edges do not cut the shape, or there is another number of chunks.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import compress_grid
    >>> field = np.sin(np.linspace(0.0, 6.0, 64))[:, None] * np.cos(np.linspace(0.0, 3.0, 48))
    >>> grid = compress_grid(field, 1e-3, chunk=16)
    >>> len(grid.chunks), grid.relative_l2_error <= 1e-3
    (4, True)
    >>> grid[10:12].shape
    (2, 48)
    >>> bool(np.linalg.norm(grid.decompress() - field) <= 1e-3 * np.linalg.norm(field))
    True
    """

    shape: tuple[int, ...]
    dtype: str
    edges: Edges
    chunks: Any  # a sequence; to look at each would read all of a file
    tol: float
    bound: BoundKind
    relative: bool
    l2_error: float
    maximum_error: float
    l2_norm: float
    value_range: float
    times: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check that the chunks fill the array."""
        cut = len(self.edges) <= len(self.shape) and all(
            axis and axis[0] == 0 and axis[-1] == n and all(a <= b for a, b in itertools.pairwise(axis))
            for axis, n in zip(self.edges, self.shape)
        )
        count = math.prod(len(axis) - 1 for axis in self.edges)
        if not cut or count != len(self.chunks):
            raise ShapeError(
                f"edges {self.edges!r:.200} and {len(self.chunks)} chunks for shape {self.shape}; expected edges from "
                "0 to the length of each of the first axes, and a chunk between them each"
            )

    def __repr__(self) -> str:
        """Return shape, number of chunks and error."""
        shape = " x ".join(map(str, self.shape))
        kept = f"relative L2 error {self.relative_l2_error:.3g}, maximum {self.relative_maximum_error:.3g} of the range"
        return f"CompressedGrid({shape} {self.dtype}, {len(self.chunks)} chunks, {kept})"

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return a part of the array: integers and slices, as in NumPy.

        Raises
        ------
        InvalidValueError
            For another index, or one outside of the array.
        """
        parts = self._parts(index)
        box = tuple(slice(min(p), max(p) + 1) if len(p) else slice(0, 0) for p in (part for part, _ in parts))
        found: np.ndarray = np.empty([s.stop - s.start for s in box], self.dtype)
        for number, place in enumerate(blocks_of(self.shape, self.edges)):
            common = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(place, box)]
            if all(s.stop > s.start for s in common):
                values = self._decoded(number, place)
                inside = tuple(slice(s.start - p.start, s.stop - p.start) for s, p in zip(common, place))
                found[tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(common, box))] = values[inside]
        steps = tuple(_within(part, dropped, b.start) for (part, dropped), b in zip(parts, box))
        return np.asarray(found[steps])

    @property
    def nbytes(self) -> int:
        """Compressed bytes of all chunks."""
        return sum(chunk.nbytes for chunk in self.chunks)

    @property
    def ratio(self) -> float:
        """Bytes of the array divided by compressed bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize / max(1, self.nbytes)

    @property
    def relative_l2_error(self) -> float:
        """The error over the array in the L2 norm; 0 for an array of zeros."""
        return self.l2_error / self.l2_norm if self.l2_norm > 0 else 0.0

    @property
    def relative_maximum_error(self) -> float:
        """The largest error over the range; 0 for a constant array."""
        return self.maximum_error / self.value_range if self.value_range > 0 else 0.0

    def decompress(self) -> np.ndarray:
        """Return the whole array."""
        return self[...]

    def slabs(self) -> Iterator[np.ndarray]:
        """Yield the array in slabs of the first axis, each as thick as a chunk."""
        for start, stop in itertools.pairwise(self.edges[0]):
            yield self[start:stop]

    def _decoded(self, number: int, place: tuple[slice, ...]) -> np.ndarray:
        values = self.chunks[number].decompress()
        expected = tuple(s.stop - s.start for s in place)
        if values.shape != folded(expected):
            raise ShapeError(f"chunk {number} holds shape {values.shape}; expected {folded(expected)}")
        return np.asarray(values.reshape(expected))

    def _parts(self, index: Any) -> list[tuple[range, bool]]:
        """Return the places along each axis, and whether the axis is dropped."""
        given = list(index) if isinstance(index, tuple) else [index]
        open_ = [k for k, one in enumerate(given) if one is Ellipsis]
        if len(open_) > 1 or len(given) > len(self.shape) + len(open_):
            raise InvalidValueError(f"index {index!r} of shape {self.shape}; expected at most one entry for each axis")
        at = open_[0] if open_ else len(given)
        given[at:] = given[at:] or [Ellipsis]
        given[at : at + 1] = [slice(None)] * (len(self.shape) - len(given) + 1)
        return [_places(one, n, index, self.shape) for one, n in zip(given, self.shape)]


def _places(one: Any, n: int, index: Any, shape: tuple[int, ...]) -> tuple[range, bool]:
    try:
        if isinstance(one, slice):
            return range(n)[one], False
        number = range(n)[operator.index(one)]
        return range(number, number + 1), True
    except (TypeError, IndexError, ValueError) as error:
        raise InvalidValueError(f"index {index!r} of shape {shape}; expected integers and slices within it") from error


def _within(part: range, dropped: bool, start: int) -> Any:
    """Return the index of places in a box that begins at `start`."""
    if dropped:
        return 0
    if part.step > 0:
        return slice(0, None, part.step)
    return slice(None, None, part.step)


@collective_entry
def compress_grid(
    field: Any,
    tol: float,
    *,
    bound: BoundKind = "l2",
    relative: bool = True,
    chunk: int | Sequence[int] | None = None,
    methods: Sequence[Method] = METHODS,  # type: ignore[assignment]
    periodic: Sequence[int] = (),
    comm: Comm = None,
) -> CompressedGrid:
    """Return an array in compressed chunks whose error as a whole keeps a bound.

    Parameters
    ----------
    field : array
        float32 or float64, of finite numbers; or anything with `shape`, `dtype` and slices, like a dataset of HDF5 or
        `numpy.load(path, mmap_mode="r")`. The same on all ranks.
    tol : float
        Largest error of the whole.
    bound : "l2" or "maximum"
        ||decoded - field||_2 or the largest difference of a number.
    relative : bool
        `tol` is relative to the L2 norm, or to the range, of the whole array.
    chunk : int or sequence of int, optional
        Lengths of a chunk along the first axes; the others stay whole. Chosen unless given: at most 2^21 numbers in
        one, and no axis cut thinner than 32.
    methods, periodic : optional
        As in `compress`; for each chunk the best method is kept. An axis that is cut is not periodic in a chunk.
    comm : mpi4py communicator, optional
        Each rank reads and compresses chunks of its own; all get the same result, which depends on no number of ranks.

    Returns
    -------
    CompressedGrid

    Raises
    ------
    InvalidValueError, DTypeError, ShapeError
        On every rank.

    Notes
    -----
    Collective. The array is read twice: for its norm, or its range, and to compress it. In L2 the squared error is
    shared among chunks as one step of quantization in all of them would leave it, which is estimated from a cosine
    transform of each; in the maximum each chunk keeps the bound of the whole. Memory: one chunk at a time and what
    `compress` takes for it, and the compressed bytes.
    """
    plan = plan_chunks(field, tol, bound=bound, relative=relative, chunk=chunk, comm=comm)
    made = compress_chunks(field, plan, methods=methods, periodic=periodic, comm=comm)
    return joined(plan, tuple(made), tol, relative)


def joined(plan: ChunkPlan, chunks: Sequence[CompressedField], tol: float, relative: bool) -> CompressedGrid:
    """Return the grid of the chunks of a plan."""
    errors = total_errors([chunk.l2_error for chunk in chunks], [chunk.maximum_error for chunk in chunks])
    norm = math.hypot(*(chunk.l2_norm for chunk in chunks))  # as files have it, to the last digit
    numbers = (tol, plan.bound, relative, *errors, norm, plan.value_range)
    return CompressedGrid(plan.shape, plan.dtype, plan.edges, chunks, *numbers)


def of_one(field: CompressedField) -> CompressedGrid:
    """Return the grid of one chunk."""
    numbers = (field.l2_error, field.maximum_error, field.l2_norm, field.value_range)
    edges = ((0, field.shape[0]),)
    return CompressedGrid(field.shape, field.dtype, edges, (field,), field.tol, field.bound, field.relative, *numbers)


def total_errors(l2_errors: Sequence[float], maximum_errors: Sequence[float]) -> tuple[float, float]:
    """Return the errors of the whole of those of its chunks: the root of the sum of squares, and the largest."""
    return math.hypot(*l2_errors), max(maximum_errors, default=0.0)


def compress_chunks(
    field: Any,
    plan: ChunkPlan,
    *,
    methods: Sequence[Method] = METHODS,  # type: ignore[assignment]
    periodic: Sequence[int] = (),
    comm: Comm = None,
) -> Iterator[CompressedField]:
    """Yield the compressed chunks of a plan in C order, on every rank; ranks compress one each in a round (collective).

    The generator is to be used up on every rank; errors of one are raised on all.
    """
    places = list(blocks_of(plan.shape, plan.edges))
    rank, ranks = rank_of(comm), size(comm)
    axes = folded_axes(plan.shape, periodic, {axis for axis, cuts in enumerate(plan.edges) if len(cuts) > 2})
    for start in range(0, len(places), ranks):
        own = None
        with agreed(comm, "compress_chunks") as agreement:
            if start + rank < len(places):
                number = start + rank
                values = np.ascontiguousarray(field[places[number]])
                own = compress_chunk(values, float(plan.tolerances[number]), plan.bound, methods, axes)
            message = b"" if own is None or ranks == 1 else _message(own)
            agreement.gather(len(message))
        if ranks == 1:
            assert own is not None
            yield own
            continue
        joint = allgather_rows(np.frombuffer(message, np.uint8), comm).tobytes()
        ends = np.cumsum(agreement.table[:, 0]).tolist()
        for other, (low, high) in enumerate(itertools.pairwise([0, *ends])):
            if start + other < len(places):
                yield _received(joint[low:high], places[start + other], plan)


def folded_axes(shape: Sequence[int], periodic: Sequence[int], cut: Container[int] = ()) -> tuple[int, ...]:
    """Return the periodic axes of a folded chunk: those that are neither cut nor joined with others."""
    ndim = len(shape)
    if not all(-ndim <= axis < ndim for axis in periodic):
        raise InvalidValueError(f"periodic is {tuple(periodic)}; expected axes of a field of {ndim}, 0 to {ndim - 1}")
    axes = [axis % ndim for axis in periodic]
    extra = ndim - len(folded(shape))
    return tuple(axis - extra for axis in axes if axis not in cut and (not extra or axis > extra))


def compress_chunk(
    values: np.ndarray, tolerance: float, bound: BoundKind, methods: Sequence[Method], periodic: Sequence[int]
) -> CompressedField:
    """Compress a chunk within an absolute tolerance; without loss where that is no normal number, like 0."""
    settings: dict[str, Any] = {"bound": bound, "methods": methods, "periodic": periodic}
    values = values.reshape(folded(values.shape))
    if tolerance >= _NORMAL:
        return compress(values, tolerance, relative=False, **settings)
    return replace(compress(values, _NORMAL, **settings), relative=False)


def _message(chunk: CompressedField) -> bytes:
    """Return a compressed chunk as bytes: the length of a JSON text, the text, and the data."""
    about = {name: getattr(chunk, name) for name in ("method", *NUMBERS)}
    text = json.dumps(about).encode()
    return len(text).to_bytes(4, "little") + text + chunk.data.tobytes()


def _received(message: bytes, place: tuple[slice, ...], plan: ChunkPlan) -> CompressedField:
    end = 4 + int.from_bytes(message[:4], "little")
    data = np.frombuffer(message[end:], np.uint8)
    shape = folded([s.stop - s.start for s in place])
    return CompressedField(shape, plan.dtype, data=data, bound=plan.bound, relative=False, **json.loads(message[4:end]))
