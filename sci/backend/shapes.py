"""Arrays without numbers: shape, dtype and memory of what a computation would make, at no cost.

Code that takes its namespace from its arrays runs on them as it is, and tells its multiply-adds and its memory to the
`Tally` in force. A `ShapeArray` is viewed, cut and reshaped as NumPy would do it; whatever asks for its numbers is
refused, or answered as for good input: every condition that must hold for all entries holds.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["HANDLERS", "ShapeArray", "Tally", "count_work", "like_numpy", "shape_array", "tallying"]

HANDLERS: dict[str, Callable[..., Any]] = {}
"""What takes the place of NumPy's functions of these names; the modules beside this one fill it."""
_STATE = threading.local()
_PLACEHOLDER = np.zeros(1)


@dataclass(eq=False)
class Tally:
    """What a computation on shapes did.

    Parameters
    ----------
    multiply_adds : int
        Of real numbers, in products, contractions, transforms and factorizations.
    entrywise : int
        Entries that functions of single entries made: sums, products, exponentials.
    live, peak : int
        Bytes of arrays that were made and are still held, and the most at one time.
    launches : int
        Kernels that would have run, whose work is in no count.

    Examples
    --------
    >>> from sci.backend import shape_array, tallying
    >>> with tallying() as tally:
    ...     product = shape_array((2, 3)) @ shape_array((3, 4))
    >>> product.shape, tally.multiply_adds, tally.peak
    ((2, 4), 24, 208)
    """

    multiply_adds: int = 0
    entrywise: int = 0
    live: int = 0
    peak: int = 0
    launches: int = 0

    def take(self, n_bytes: int) -> None:
        """Add the bytes of an array."""
        self.live += n_bytes
        self.peak = max(self.peak, self.live)

    def free(self, n_bytes: int) -> None:
        """Subtract the bytes of an array."""
        self.live -= n_bytes


@contextlib.contextmanager
def tallying() -> Iterator[Tally]:
    """Count in the block, in this thread, what computations on shapes do.

    Returns
    -------
    context manager of a Tally
    """
    before, tally = getattr(_STATE, "tally", None), Tally()
    _STATE.tally = tally
    try:
        yield tally
    finally:
        _STATE.tally = before


def count_work(multiply_adds: float = 0, entrywise: int = 0, launches: int = 0) -> None:
    """Add work to the tally in force, if there is one."""
    tally = getattr(_STATE, "tally", None)
    if tally is not None:
        tally.multiply_adds += round(multiply_adds)
        tally.entrywise += entrywise
        tally.launches += launches


class _Buffer:
    """The memory of an array and of its views; it is given back when the last of them goes."""

    __slots__ = ("n_bytes", "tally")

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes, self.tally = n_bytes, getattr(_STATE, "tally", None)
        if self.tally is not None:
            self.tally.take(n_bytes)

    def __del__(self) -> None:
        if self.tally is not None:
            self.tally.free(self.n_bytes)


def shape_array(shape: int | Sequence[int], dtype: Any = np.float64) -> ShapeArray:
    """Return an array without numbers.

    Parameters
    ----------
    shape : int or sequence of int
    dtype : dtype

    Returns
    -------
    ShapeArray

    Raises
    ------
    ShapeError
        For a negative length.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.backend import shape_array
    >>> field = shape_array((10**5, 10**5), np.float32)
    >>> (field * field).sum(axis=1)
    ShapeArray(shape=(100000,), dtype=float32)
    """
    sizes = tuple(int(n) for n in shape) if isinstance(shape, Sequence) else (int(shape),)
    if min(sizes, default=0) < 0:
        raise ShapeError(f"an array of shape {sizes}; expected no negative length")
    kind = np.dtype(dtype)
    return ShapeArray(_outline(sizes, kind), _Buffer(math.prod(sizes) * kind.itemsize))


def _viewed_strides(outline: np.ndarray, sizes: Sequence[int]) -> tuple[int, ...] | None:
    """Return strides under which an array is a view in another shape; None if its entries must be copied.

    NumPy, asked to reshape in place, copies first and refuses then: it would read memory that is not there.
    """
    if outline.flags.c_contiguous:
        return _outline(tuple(sizes), outline.dtype).strides
    runs: list[list[int]] = []  # length and last stride of axes that are one walk through memory
    for n, stride in zip(outline.shape, outline.strides):
        if n == 1:
            continue
        if runs and runs[-1][1] == n * stride:
            runs[-1] = [runs[-1][0] * n, stride]
        else:
            runs.append([n, stride])
    found = []
    for m in reversed(sizes):
        if m == 1:
            found.append(outline.itemsize)
            continue
        if runs[-1][0] == 1:
            runs.pop()
        length, stride = runs[-1]
        if length % m:
            return None
        found.append(stride)
        runs[-1] = [length // m, stride * m]
    return tuple(reversed(found))


def _outline(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Return an array in C order that is never read: it stands for shape, strides and dtype alone."""
    strides, step = [], dtype.itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return np.lib.stride_tricks.as_strided(_PLACEHOLDER.view("u1")[:0].view(dtype), shape, strides[::-1])


def like_numpy(value: Any) -> Any:
    """Return an array of few numbers with the dtype and the number of axes of a ShapeArray; others as they are."""
    if isinstance(value, (ShapeArray, np.ndarray)):
        return np.ones((1,) * value.ndim, value.dtype)
    return value


class ShapeArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of which there are only shape, strides and dtype.

    Made by `shape_array`; see `sci.backend.shapes`.

    Parameters
    ----------
    outline : numpy array
        With its shape, strides and dtype; never read.
    buffer : object
        The memory that it shares with its views.

    Examples
    --------
    >>> from sci.backend import shape_array
    >>> shape_array((3, 4)).T
    ShapeArray(shape=(4, 3), dtype=float64)
    """

    __slots__ = ("_buffer", "outline")
    __array_priority__ = 100
    __hash__ = object.__hash__

    def __init__(self, outline: np.ndarray, buffer: Any) -> None:
        self.outline, self._buffer = outline, buffer

    def __repr__(self) -> str:
        return f"ShapeArray(shape={self.shape}, dtype={self.dtype})"

    def __getattr__(self, name: str) -> Any:
        """Return a method of NumPy's arrays, by the function of the same name."""
        if name in HANDLERS and not name.startswith("_") and hasattr(np.ndarray, name):
            return lambda *args, **options: HANDLERS[name](self, *args, **options)
        raise AttributeError(f"an array without numbers has no {name}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.outline.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Class of the entries."""
        return self.outline.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.outline.ndim

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.outline.size

    @property
    def nbytes(self) -> int:
        """Bytes of the entries."""
        return self.outline.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of an entry."""
        return self.outline.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from entry to entry along each axis."""
        return self.outline.strides

    @property
    def flags(self) -> Any:
        """Layout in memory."""
        return self.outline.flags

    @property
    def T(self) -> ShapeArray:
        """The array with its axes in reverse order."""
        return self.seen(self.outline.T)

    @property
    def real(self) -> ShapeArray:
        """Real parts, a view."""
        return self.seen(self.outline.real)

    @property
    def imag(self) -> ShapeArray:
        """Imaginary parts, a view."""
        return self.seen(self.outline.imag)

    def seen(self, outline: np.ndarray) -> ShapeArray:
        """Return a view of this array."""
        return ShapeArray(outline, self._buffer)

    def view(self, dtype: Any) -> ShapeArray:
        """Return the memory as entries of another dtype."""
        return self.seen(self.outline.view(dtype))

    def reshape(self, *shape: Any) -> ShapeArray:
        """Return the entries in another shape: a view where NumPy makes one, else a copy."""
        wanted = shape[0] if len(shape) == 1 else shape
        sizes = [int(n) for n in (wanted if isinstance(wanted, Sequence) else (wanted,))]
        if -1 in sizes:
            known = -math.prod(sizes)
            sizes[sizes.index(-1)] = self.size // known if known else 0
        if math.prod(sizes) != self.size:
            raise ValueError(f"cannot reshape an array of shape {self.shape} into {tuple(sizes)}")
        strides = _viewed_strides(self.outline, sizes)
        if strides is None:
            return shape_array(sizes, self.dtype)
        return self.seen(np.lib.stride_tricks.as_strided(self.outline, sizes, strides))

    def transpose(self, *axes: Any) -> ShapeArray:
        """Return a view with permuted axes."""
        return self.seen(self.outline.transpose(*axes))

    def swapaxes(self, a: int, b: int) -> ShapeArray:
        """Return a view with two axes exchanged."""
        return self.seen(self.outline.swapaxes(a, b))

    def squeeze(self, axis: Any = None) -> ShapeArray:
        """Return a view without axes of length 1."""
        return self.seen(self.outline.squeeze(axis))

    def astype(self, dtype: Any, copy: bool = True, **_: Any) -> ShapeArray:
        """Return an array of another dtype; itself for its own unless `copy`."""
        return self if not copy and np.dtype(dtype) == self.dtype else shape_array(self.shape, dtype)

    def copy(self, *_: Any) -> ShapeArray:
        """Return a copy in C order."""
        return shape_array(self.shape, self.dtype)

    flatten = ravel = lambda self, *_: self.reshape(-1)

    def fill(self, value: Any) -> None:
        """Set all entries."""

    def item(self) -> Any:
        """Return 1 for an array of one entry."""
        if self.size != 1:
            raise DTypeError(f"{self!r} has {self.size} entries; expected one")
        return self.dtype.type(1).item()

    def __float__(self) -> float:
        return float(self.item().real)

    def __len__(self) -> int:
        return len(self.outline)

    def __iter__(self) -> Iterator[ShapeArray]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, index: Any) -> ShapeArray:
        parts = index if isinstance(index, tuple) else (index,)
        if all(p is None or p is Ellipsis or isinstance(p, (slice, int, np.integer)) for p in parts):
            return self.seen(self.outline[parts if any(p is Ellipsis for p in parts) else (*parts, ...)])
        # Entries of no bytes: what an index by arrays picks has a shape, and takes no memory.
        return shape_array(np.empty(self.shape, "V0")[tuple(_numbers_of(p) for p in parts)].shape, self.dtype)

    def __setitem__(self, index: Any, value: Any) -> None:
        place, given = self[index].shape, np.shape(value)
        while len(given) > len(place) and given[0] == 1:
            given = given[1:]
        if np.broadcast_shapes(place, given) != place:
            raise ShapeError(f"values of shape {given} do not fit entries of shape {place}")

    def __bool__(self) -> NoReturn:
        raise DTypeError("an array without numbers is neither true nor false; what depends on numbers has no shape")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise DTypeError("an array without numbers was to become one of NumPy; take the namespace from the arrays")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Return the result of a ufunc, without numbers."""
        return HANDLERS["__ufunc__"](ufunc, method, *inputs, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        """Return the result of a function of NumPy, without numbers."""
        if function.__name__ not in HANDLERS:
            raise DTypeError(f"numpy.{function.__name__} is not known for arrays without numbers")
        return HANDLERS[function.__name__](*args, **options)


def _numbers_of(index: Any) -> Any:
    """Return an index with numbers in place of one without: which entries it takes does not matter."""
    if not isinstance(index, ShapeArray):
        return index
    if index.dtype.kind == "b":
        raise InvalidValueError("a mask without numbers chooses a number of entries that nobody knows")
    return np.zeros(index.shape, np.int64)
