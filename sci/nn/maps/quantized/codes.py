"""Codes of few bits: packed, grouped by the statistics of neurons, and started by k-means on a line."""

from __future__ import annotations

import itertools
import math

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array
from sci.errors import InvalidValueError, ShapeError

__all__ = ["BITS", "group_neurons", "k_means_1d", "neuron_order", "pack_codes", "packed_bytes", "unpack_codes"]

BITS = (1, 2, 3, 4, 8)
"""Bits that a code can have."""


def require_bits(bits: int, who: str, known: tuple[int, ...] = BITS) -> int:
    """Return the bits of a code.

    Raises
    ------
    InvalidValueError
    """
    if bits not in known:
        raise InvalidValueError(f"{who}: bits is {bits}; expected one of {', '.join(map(str, known))}")
    return int(bits)


def packed_bytes(count: int, bits: int) -> int:
    """Return the bytes of `count` packed codes, in whole words of 8 bytes."""
    return -(-count * bits // 64) * 8


@entry
def pack_codes(codes: Real, bits: int) -> np.ndarray:
    """Return codes as a stream of bits in words of 64, the lowest bit of the first code first.

    Parameters
    ----------
    codes : array of int
        From 0 to 2^bits - 1, in any shape; read in C order.
    bits : 1, 2, 3, 4 or 8

    Returns
    -------
    (ceil(n bits / 64),) int64

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.nn import pack_codes, unpack_codes
    >>> import numpy as np
    >>> packed = pack_codes(np.array([1, 2, 3, 0, 2]), 2)
    >>> packed, unpack_codes(packed, 2, 5)
    (array([569]), array([1, 2, 3, 0, 2], dtype=uint8))
    """
    require_bits(bits, "pack_codes")
    flat = np.asarray(codes).reshape(-1)
    if flat.dtype.kind not in "iu" or (flat.size and (int(flat.min()) < 0 or int(flat.max()) >= 1 << bits)):
        raise InvalidValueError(
            f"pack_codes: codes of dtype {flat.dtype}; expected whole numbers from 0 to {2**bits - 1}"
        )
    stream = ((flat[:, None].astype(np.uint8) >> np.arange(bits, dtype=np.uint8)) & 1).reshape(-1)
    found = np.zeros(packed_bytes(flat.size, bits), np.uint8)
    found[: -(-stream.size // 8)] = np.packbits(stream, bitorder="little")
    return found.view("<i8").astype(np.int64)


@entry
def unpack_codes(packed: Real, bits: int, count: int) -> np.ndarray:
    """Return the codes of `pack_codes`.

    Parameters
    ----------
    packed : (ceil(count bits / 64),) int64
    bits : 1, 2, 3, 4 or 8
    count : int

    Returns
    -------
    (count,) uint8

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> from sci.nn import unpack_codes
    >>> import numpy as np
    >>> unpack_codes(np.array([569]), 2, 5)
    array([1, 2, 3, 0, 2], dtype=uint8)
    """
    require_bits(bits, "unpack_codes")
    words = np.ascontiguousarray(np.asarray(packed, np.int64)).astype("<i8")
    if words.shape != (packed_bytes(count, bits) // 8,):
        wanted = f"{packed_bytes(count, bits) // 8} words for {count} codes of {bits} bits"
        raise ShapeError(f"unpack_codes: packed has shape {words.shape}; expected {wanted}")
    stream = np.unpackbits(words.view(np.uint8), count=count * bits, bitorder="little").reshape(count, bits)
    found: np.ndarray = (stream << np.arange(bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
    return found


@entry
def k_means_1d(values: Real, k: int, *, maxiter: int = 100) -> np.ndarray:
    """Return k centers on a line with a small sum of squared distances: Lloyd's steps on sorted values.

    On a line the values of a center are neighbors in the sorted order, so that a step is one search for the middles
    between centers and the differences of running sums. There are two starts, the means of k parts of equal counts and
    of k parts of equal widths; the better end is returned.

    Parameters
    ----------
    values : (n,) array
        Real, finite; at least one.
    k : int
        Centers. Where fewer values differ, centers repeat.
    maxiter : int
        Steps at most.

    Returns
    -------
    (k,) float64
        Ascending.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    n log n to sort, then k log n a step. A center that loses all its values moves into the widest part of another.

    Examples
    --------
    >>> from sci.nn import k_means_1d
    >>> import numpy as np
    >>> k_means_1d(np.array([0.0, 0.1, 5.0, 5.1, 9.0]), 3)
    array([0.05, 5.05, 9.  ])
    """
    flat = np.sort(np.asarray(values, np.float64).reshape(-1))
    if k < 1 or maxiter < 1 or not flat.size:
        raise InvalidValueError(f"k_means_1d: {flat.size} values, k={k}, maxiter={maxiter}; expected 1 or more of each")
    if not np.isfinite(flat).all():
        raise InvalidValueError("k_means_1d: values hold NaN or Inf; expected finite numbers")
    sums = np.concatenate([[0.0], np.cumsum(flat)])
    counts = np.round(np.arange(k + 1) * flat.size / k).astype(np.int64)
    widths = np.searchsorted(flat, np.linspace(flat[0], flat[-1], k + 1)[1:-1])
    starts = (counts, np.concatenate([[0], widths, [flat.size]]))
    ends = (_lloyd(flat, sums, start, maxiter) for start in starts)
    return min(ends, key=lambda centers: _inertia(flat, sums, centers))


def _lloyd(flat: np.ndarray, sums: np.ndarray, ends: np.ndarray, maxiter: int) -> np.ndarray:
    """Return the ascending centers after Lloyd's steps from parts with these bounds."""
    for _ in range(maxiter):
        centers = _means(flat, sums, _filled(flat, ends))
        middles = (centers[1:] + centers[:-1]) / 2
        moved = np.concatenate([[0], np.searchsorted(flat, middles), [flat.size]])
        if np.array_equal(moved, ends):
            break
        ends = moved
    return np.sort(centers)


def _inertia(flat: np.ndarray, sums: np.ndarray, centers: np.ndarray) -> float:
    """Return the sum of squared distances up to that of the values from zero."""
    ends = np.concatenate([[0], np.searchsorted(flat, (centers[1:] + centers[:-1]) / 2), [flat.size]])
    return float((centers**2 * np.diff(ends) - 2 * centers * np.diff(sums[ends])).sum())


def _filled(flat: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return bounds of parts of which none is empty that could be filled: an empty one halves the widest."""
    counts = np.diff(ends)
    if counts.all():
        return ends
    bounds = list(np.unique(ends))
    while len(bounds) < len(ends):
        widths = [flat[b - 1] - flat[a] if b - a > 1 else -1.0 for a, b in itertools.pairwise(bounds)]
        widest = int(np.argmax(widths))
        if widths[widest] <= 0:
            return np.array(bounds + [bounds[-1]] * (len(ends) - len(bounds)))
        a, b = bounds[widest], bounds[widest + 1]
        middle = int(np.searchsorted(flat, (flat[a] + flat[b - 1]) / 2, side="right"))
        bounds.insert(widest + 1, min(max(middle, a + 1), b - 1))
    return np.array(bounds)


def _means(flat: np.ndarray, sums: np.ndarray, ends: np.ndarray) -> np.ndarray:
    counts = np.diff(ends)
    means = np.diff(sums[ends]) / np.maximum(counts, 1)
    found: np.ndarray = np.where(counts > 0, means, flat[np.minimum(ends[:-1], flat.size - 1)])
    return found


@entry
def group_neurons(weight: Array, groups: int) -> np.ndarray:
    """Return a group for each output neuron, by the size of its weights: k-means of log root mean square on a line.

    Parameters
    ----------
    weight : (neurons, ...) array
        Real or complex.
    groups : int
        From 1 to the number of neurons.

    Returns
    -------
    (neurons,) int64
        From 0, the group of the smallest weights, to `groups` - 1; each has a neuron.

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    The statistic and the clustering are this library's: the paper behind `CodebookWeight` leaves them open.

    Examples
    --------
    >>> from sci.nn import group_neurons
    >>> import numpy as np
    >>> group_neurons(np.array([[1.0, -1.0], [9.0, 8.0], [0.9, 1.2]]), 2)
    array([0, 1, 0])
    """
    host = np.asarray(weight)
    if host.ndim < 1 or not host.size:
        raise ShapeError(f"group_neurons: weight of shape {host.shape}; expected (neurons, ...) and some weights")
    rows = len(host)
    if not 1 <= groups <= rows:
        raise InvalidValueError(f"group_neurons: groups is {groups} and there are {rows} neurons; expected 1 to {rows}")
    squares = (np.abs(host.reshape(rows, -1)).astype(np.float64) ** 2).mean(axis=1)
    if not np.isfinite(squares).all():
        raise InvalidValueError("group_neurons: weight holds NaN or Inf; expected finite numbers")
    sizes = np.log(np.maximum(squares, np.finfo(np.float64).tiny)) / 2
    centers = k_means_1d(sizes, groups)
    order = np.argsort(sizes, kind="stable")
    ends = np.searchsorted(sizes[order], (centers[1:] + centers[:-1]) / 2)
    # Where fewer sizes differ than groups are wanted, neighbors in the order are told apart.
    low, high = np.arange(1, groups), rows - np.arange(groups - 1, 0, -1)
    ends = np.clip(np.maximum.accumulate(ends - low) + low, low, high) if groups > 1 else ends
    found = np.empty(rows, np.int64)
    found[order] = np.searchsorted(ends, np.arange(rows), side="right")
    return found


@entry
def neuron_order(groups: Real) -> np.ndarray:
    """Return the order of neurons in which those of a group are next to each other, by group.

    Rows of a layer and columns of the next one in this order leave a network as it is, and the group of a neuron
    follows from its place. Where neurons feed several layers, as along a residual stream, keep the order and hold the
    group of each neuron instead: `CodebookWeight` takes either.

    Parameters
    ----------
    groups : (neurons,) array of int
        As of `group_neurons`.

    Returns
    -------
    (neurons,) int64

    Examples
    --------
    >>> from sci.nn import neuron_order
    >>> import numpy as np
    >>> neuron_order(np.array([0, 1, 0]))
    array([0, 2, 1])
    """
    return np.argsort(np.asarray(groups), kind="stable")


def group_bytes(groups: np.ndarray, count: int) -> int:
    """Return the bytes of the groups of neurons: their lengths if they follow each other, else packed indices."""
    if count == 1:
        return 0
    if bool((np.diff(groups) >= 0).all()):
        return 4 * count
    return -(-len(groups) * math.ceil(math.log2(count)) // 8)
