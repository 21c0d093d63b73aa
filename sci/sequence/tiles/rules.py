"""What is done with scores of attention beside the range that a query sees: caps, slopes, a bias, a mask, dropout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device
from sci.backend.philox import philox
from sci.errors import ShapeError
from sci.sequence.checks import check_dtypes

__all__ = ["PairScore", "Planes", "Rules", "Scored"]

_SWITCHES = {"cap": 1, "slopes": 2, "bias": 4, "mask": 8, "documents": 16, "rate": 32, "gradient": 64}


@entry
@dataclass(frozen=True)
class PairScore:
    """A bias of pairs that is computed tile by tile, and never stored as a whole.

    Parameters
    ----------
    bias : callable
        `bias(parameters, queries, keys)`, for positions (r,) of queries and (c,) of keys, as arrays of the host,
        returns what is added to the scores: an array of floats that broadcasts to (..., heads, r, c).
    vjp : callable
        `vjp(parameters, queries, keys, dbias)` returns the gradient for the parameters, of their shape; dbias has the
        shape that `bias` returned.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import PairScore, softmax_attention
    >>> angle = np.array([0.1, 0.5, 3.0])  # a feature of each particle
    >>> def bias(strength, queries, keys):
    ...     return -strength * (angle[queries, None] - angle[keys]) ** 2
    >>> def vjp(strength, queries, keys, dbias):
    ...     return -(dbias * (angle[queries, None] - angle[keys]) ** 2).sum(keepdims=True)[0]
    >>> q = np.zeros((1, 3, 2))
    >>> out, _ = softmax_attention(q, q, np.eye(3)[None], None, None, np.ones(1), score=PairScore(bias, vjp))
    >>> out[0].round(2)
    array([[0.54, 0.46, 0.  ],
           [0.46, 0.54, 0.  ],
           [0.  , 0.  , 1.  ]])
    """

    bias: Callable[[Array, np.ndarray, np.ndarray], Array]
    vjp: Callable[[Array, np.ndarray, np.ndarray, Array], Array]


@dataclass(frozen=True)
class Planes:
    """Numbers for pairs of queries and keys, one plane for some heads: a bias or a mask.

    Parameters
    ----------
    array : (planes, n or 1, m or 1), C-contiguous
        An axis of 1 holds for all queries or keys.
    plane : (heads,) int64
        The plane of each head.
    offset, step : int
        Column offset + step j belongs to key j of a part.
    """

    array: Array
    plane: np.ndarray
    offset: int = 0
    step: int = 1

    @property
    def strides(self) -> tuple[int, int]:
        """Elements from one query to the next, and from one key to the next."""
        _, n, m = self.array.shape
        return (0 if n == 1 else m), (0 if m == 1 else self.step)

    @property
    def origins(self) -> np.ndarray:
        """Where the numbers of each head begin in the flat array, (heads,)."""
        _, n, m = self.array.shape
        return np.asarray(self.plane * (n * m) + (0 if m == 1 else self.offset))

    @property
    def is_shared(self) -> bool:
        """Whether several heads share a plane."""
        return bool(np.unique(self.plane).size < self.plane.size)

    def region(self, rows: slice, keys: slice) -> tuple[slice, slice]:
        """Return the part of each plane that belongs to some queries and keys."""
        _, n, m = self.array.shape
        columns = slice(self.offset + self.step * keys.start, self.offset + self.step * (keys.stop - 1) + 1, self.step)
        return (slice(0, 1) if n == 1 else rows), (slice(0, 1) if m == 1 else columns)

    def block(self, rows: slice, keys: slice) -> Array:
        """Return (heads, queries or 1, keys or 1)."""
        own = self.array[(slice(None), *self.region(rows, keys))]
        return own[to_device(self.plane, namespace(self.array))]

    def add(self, total: Array, change: Array, rows: slice, keys: slice) -> None:
        """Add changes (heads, queries, keys) to a gradient `total` of the shape of `array`."""
        part = total[(slice(None), *self.region(rows, keys))]
        axes = tuple(axis for axis in (1, 2) if part.shape[axis] == 1)
        if axes:
            change = change.sum(axis=axes, keepdims=True)
        for head, plane in enumerate(self.plane.tolist()):
            part[plane] += change[head]

    def of_keys(self, positions: np.ndarray) -> Planes:
        """Return the planes of the keys at `positions`: the same memory if they lie a step apart, otherwise a copy."""
        step = int(positions[1] - positions[0]) if positions.size > 1 else 1
        first = int(positions[0]) if positions.size else 0
        if self.array.shape[2] == 1 or np.array_equal(positions, first + step * np.arange(positions.size)):
            return replace(self, offset=first, step=step)
        xp = namespace(self.array)
        return Planes(xp.ascontiguousarray(self.array[:, :, to_device(positions, xp)]), self.plane)


@dataclass(frozen=True)
class Scored:
    """A `PairScore` with its parameters, and the leading axes of heads."""

    score: PairScore
    parameters: Array | None
    leading: tuple[int, ...]
    sums: list[Array]
    """The gradient for the parameters so far, one array or none."""

    def tile(self, queries: np.ndarray, keys: np.ndarray, dtype: Any) -> tuple[Planes, Any]:
        """Return the planes of a tile, and the shape of what the callable returned."""
        given = self.score.bias(self.parameters, queries, keys)
        whole = (*self.leading, queries.size, keys.size)
        check_dtypes({"what score.bias returned": given})
        xp, heads = namespace(given), int(np.prod(self.leading))
        array = xp.broadcast_to(given, whole).reshape(heads, *whole[-2:])
        return Planes(xp.ascontiguousarray(array, dtype=dtype), np.arange(heads)), given

    def pull(self, queries: np.ndarray, keys: np.ndarray, dbias: Array, given: Array) -> None:
        """Add the gradient for the parameters, if there are any, that follows from that of a tile, (heads, r, c)."""
        if self.parameters is None:
            return
        change = dbias.reshape(*self.leading, *dbias.shape[1:])
        missing = change.ndim - given.ndim
        axes = (*range(missing), *(missing + a for a, length in enumerate(given.shape) if length == 1))
        change = change.sum(axis=axes).reshape(given.shape)
        found = self.score.vjp(self.parameters, queries, keys, change.astype(given.dtype, copy=False))
        shape, expected = getattr(found, "shape", type(found).__name__), self.parameters.shape
        if shape != expected:
            raise ShapeError(f"score.vjp returned {shape}; expected an array like parameters, {expected}")
        self.sums[:] = [found if not self.sums else self.sums[0] + found]


@dataclass(frozen=True)
class Rules:
    """Rules for the scores of some heads of queries and a part of the keys; what is None or 0 is off.

    Parameters
    ----------
    numbers : (heads,) int64
        The number of each head of queries among all ranks' heads, for dropout.
    places : (rows, n) int64
        Places of the queries among the keys, for slopes.
    queries, keys : (n,), (m,) int64
        Positions in their sequences.
    cap : float
        Scores s become cap tanh(s / cap).
    slopes : (heads,) array, optional
        Scores lose slope |place - position of the key|.
    bias, mask : Planes, optional
        What scores gain, in the dtype of sums; where a key is seen, boolean.
    query_documents, key_documents : (rows, n), (rows, m) int64, optional
        Queries see only keys of their own.
    rate : float
        The share of weights that dropout takes.
    seed : int
    scored : Scored, optional
    """

    numbers: np.ndarray
    places: np.ndarray
    queries: np.ndarray
    keys: np.ndarray
    cap: float = 0.0
    slopes: Array | None = None
    bias: Planes | None = None
    mask: Planes | None = None
    query_documents: np.ndarray | None = None
    key_documents: np.ndarray | None = None
    rate: float = 0.0
    seed: int = 0
    scored: Scored | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is done with any score."""
        given = (self.slopes, self.bias, self.mask, self.query_documents, self.scored)
        return not self.cap and not self.rate and all(x is None for x in given)

    def heads(self, chosen: slice) -> Rules:
        """Return the rules of some of the heads of queries."""
        bias, mask = (None if p is None else replace(p, plane=p.plane[chosen]) for p in (self.bias, self.mask))
        slopes = None if self.slopes is None else self.slopes[chosen]
        return replace(self, numbers=self.numbers[chosen], slopes=slopes, bias=bias, mask=mask)

    def block(self, rows: slice, keys: slice, bias: Planes | None) -> Rules:
        """Return the rules of some queries and keys, with another bias in place of `bias` and `scored`."""
        mask, xp = self.mask, None if self.mask is None else namespace(self.mask.array)
        if mask is not None and xp is not None:
            own = mask.array[(slice(None), *mask.region(rows, keys))]
            mask = Planes(xp.ascontiguousarray(own), mask.plane)
        told = self.query_documents is not None and self.key_documents is not None
        return replace(
            self,
            places=self.places[:, rows],
            queries=self.queries[rows],
            keys=self.keys[keys],
            bias=bias,
            mask=mask,
            query_documents=self.query_documents[:, rows] if told else None,  # type: ignore[index]
            key_documents=self.key_documents[:, keys] if told else None,  # type: ignore[index]
            scored=None,
        )

    def kept(self, rows: slice, keys: slice, xp: Any) -> Array:
        """Return 1 / (1 - rate) where dropout keeps a weight and 0 where it takes it, (heads, queries, keys) float64.

        Word key % 4 of the counter (key / 4, query, head) decides.
        """
        groups, which = np.unique(self.keys[keys] // 4, return_inverse=True)
        group, query, head = (
            to_device(c, xp)
            for c in (groups[None, None, :], self.queries[rows][None, :, None], self.numbers[:, None, None])
        )
        words = philox(group, query, head, "attention", self.seed)
        drawn = words[to_device(self.keys[keys] % 4, xp), :, :, to_device(which.reshape(-1), xp)]
        return (xp.moveaxis(drawn, 0, -1) >= self.threshold) / (1.0 - self.rate)

    @property
    def threshold(self) -> int:
        """The least word of 32 bits that keeps a weight."""
        return round(self.rate * 2**32)

    def arguments(self, dtype: Any, gradient: bool = False) -> tuple[Array, ...]:
        """Return the arguments of the kernels of the host, in their order."""
        on = {"cap": self.cap, "rate": self.rate, "gradient": gradient}
        on |= {"slopes": self.slopes is not None, "bias": self.bias is not None, "mask": self.mask is not None}
        on["documents"] = self.query_documents is not None
        switches = sum(_SWITCHES[name] for name, value in on.items() if value)
        heads, rows = self.numbers.size, self.places.shape[0]
        of_heads, form = np.zeros((3, heads), np.int64), np.zeros(8, np.int64)
        of_heads[2] = self.numbers
        form[[0, 5, 6, 7]] = switches, self.seed, self.threshold, rows
        for k, planes in enumerate((self.bias, self.mask)):
            if planes is not None:
                of_heads[k], form[1 + 2 * k : 3 + 2 * k] = planes.origins, planes.strides
        none = np.zeros(1, np.int64)
        told = (none if d is None else d for d in (self.query_documents, self.key_documents))
        of_queries, of_keys = (np.empty((k, rows, x.size), np.int64) for k, x in ((3, self.queries), (2, self.keys)))
        of_queries[0], of_queries[1], of_keys[0] = self.places, self.queries, self.keys
        of_queries[2], of_keys[1] = told
        slopes = np.empty(0, dtype) if self.slopes is None else np.ascontiguousarray(self.slopes, dtype)
        bias = np.empty(0, dtype) if self.bias is None else self.bias.array.reshape(-1)
        mask = np.empty(0, np.int8) if self.mask is None else self.mask.array.reshape(-1).view(np.int8)
        numbers = np.array([self.cap, 1.0 / (1.0 - self.rate)], dtype)
        return slopes, bias, mask, of_heads, of_queries, of_keys, form, numbers


def no_rules(dtype: Any) -> tuple[Array, ...]:
    """Return the arguments of the kernels of the host where scores have no rules."""
    empty = [np.empty(shape, np.int64) for shape in ((3, 0), (3, 1, 0), (2, 1, 0))]
    return (
        np.empty(0, dtype),
        np.empty(0, dtype),
        np.empty(0, np.int8),
        *empty,
        np.zeros(8, np.int64),
        np.ones(2, dtype),
    )
