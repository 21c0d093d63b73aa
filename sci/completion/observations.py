"""Entries of a tensor or a field that were observed: checked, merged, standardized and spread over ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, as_finite, is_device_array, to_host
from sci.completion.axes import Axis, as_column, axis_of
from sci.distributed import Comm, agreed, allreduce_max, allreduce_sum, alltoall, size
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["Observations", "cells_of", "columns_of", "observe"]

_FEWEST = 2
"""Entries that are needed at least for each axis."""
_MOST_AXES = 6
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Odd number whose multiples spread cells evenly over ranks."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Observed entries of a tensor or a field with K axes. Made by `observe`.

    Parameters
    ----------
    axes : tuple of K Axis
        The same on all ranks.
    index : (m, K) int64 array
        Places along the axes of this rank's entries, in lexicographic order; a cell lies on one rank alone.
    values : (m,) float64 array
        In a cell each value once.
    weights : (m,) float64 array
        How often each was observed.
    offset, scale : float
        Mean and standard deviation of the values of all ranks.
    n_entries : int
        Entries of all ranks before equal ones were merged.
    comm : mpi4py communicator or None
        Whose ranks hold the entries.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import observe
    >>> x = np.array([[0, 0], [0, 0], [1, 0], [1, 2], [2, 1]])
    >>> observations = observe(x, np.array([1.0, 1.0, 2.0, 4.0, 3.0]), shape=(3, 3))
    >>> observations
    Observations(5 entries of (3, 3), 4 that differ, in 4 cells)
    >>> observations.weights
    array([2., 1., 1., 1.])
    """

    axes: tuple[Axis, ...]
    index: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    offset: float
    scale: float
    n_entries: int
    comm: Comm = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Places of each axis."""
        return tuple(map(len, self.axes))

    @property
    def standardized(self) -> np.ndarray:
        """(values - offset) / scale."""
        return np.asarray((self.values - self.offset) / self.scale)

    def __repr__(self) -> str:
        cells = 1 + int((np.diff(self.index, axis=0) != 0).any(axis=1).sum()) if len(self.index) else 0
        shape = ", ".join(map(str, self.shape))
        here = "" if size(self.comm) == 1 else " on this rank"
        return (
            f"Observations({self.n_entries} entries of ({shape}), {len(self.values)} that differ{here}, in {cells} "
            "cells)"
        )


@collective_entry
def observe(
    coordinates: Array | Mapping[str, Any],
    values: Array,
    *,
    shape: Sequence[int] | None = None,
    comm: Comm = None,
) -> Observations:
    """Collect observed entries of a tensor or a field.

    Equal entries (one place, one value) become one with a weight, which changes no least-squares or Gaussian fit.

    Parameters
    ----------
    coordinates : (n, K) array, or mapping of K names to (n,) columns
        Place of each entry, K from 2 to 6. A column of str holds categories. The axes of an array are called axis_0,
        axis_1, ....
    values : (n,) real
    shape : sequence of K int, optional
        Shape of a tensor; the coordinates are then its indices, from 0. Without it the axes consist of the coordinates
        that occur.
    comm : mpi4py communicator, optional
        Each rank passes entries of its own, or none.

    Returns
    -------
    Observations
        Each cell lies on one rank, chosen by its number.

    Raises
    ------
    InvalidValueError
        On all ranks: NaN, indices outside of the shape, an axis with one place, values that are all equal, fewer than
        2 K entries.
    ShapeError, DTypeError

    Notes
    -----
    Collective. O(n log n); on ranks every entry is sent once.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import observe
    >>> table = {"site": ["a", "b", "a", "b"], "time": [0.0, 0.0, 1.5, 2.0]}
    >>> observe(table, np.array([3.0, 4.0, 5.0, 6.0])).axes
    (Axis(site: 2 categories), Axis(time: 3 coordinates from 0 to 2))
    """
    with agreed(comm, "observe") as agreement:
        columns = columns_of(coordinates)
        values = to_host(as_finite(values, "values", shape=(None,)))
        _check_lengths(columns, values)
        extents = [None] * len(columns) if shape is None else _checked_shape(columns, shape)
        kinds = {name: column.dtype.kind for name, column in columns.items()}
        agreement.same(axes=list(kinds.items()), shape=None if shape is None else list(shape))
        agreement.gather(len(values))
    n_entries = int(agreement.table.sum())
    if n_entries < _FEWEST * len(columns):
        raise InvalidValueError(
            f"{n_entries} entries of {len(columns)} axes; expected at least {_FEWEST * len(columns)}"
        )
    found = [axis_of(name, columns[name], extent, comm) for name, extent in zip(columns, extents)]
    axes, index = tuple(axis for axis, _ in found), np.stack([places for _, places in found], axis=1)
    _check_axes(axes, index, comm)
    offset, scale = _moments(values, n_entries, comm)
    index, values, weights = _merged(*_routed(index, values, tuple(map(len, axes)), comm))
    return Observations(axes, index, values, weights, offset, scale, n_entries, comm)


def columns_of(coordinates: Array | Mapping[str, Any], names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Return the checked columns by name, of one length.

    Parameters
    ----------
    coordinates : (n, K) array, or mapping
    names : sequence of str, optional
        Names that the columns must have; those of an array get them.
    """
    if not isinstance(coordinates, Mapping):
        array = to_host(coordinates) if is_device_array(coordinates) else np.asarray(coordinates)
        if array.ndim != 2 or (names is not None and array.shape[1] != len(names)):
            raise ShapeError(f"coordinates have shape {array.shape}; expected (n, {len(names) if names else 'K'})")
        names = [f"axis_{k}" for k in range(array.shape[1])] if names is None else names
        coordinates = {name: array[:, k] for k, name in enumerate(names)}
    if names is not None and set(coordinates) != set(names):
        raise InvalidValueError(f"coordinates of {', '.join(coordinates)}; expected {', '.join(names)}")
    if not 2 <= len(coordinates) <= _MOST_AXES:
        raise ShapeError(f"{len(coordinates)} axes ({', '.join(coordinates)}); expected 2 to {_MOST_AXES}")
    columns = {name: as_column(column, name) for name, column in coordinates.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"columns of lengths {lengths}; expected one length")
    return columns


def cells_of(coordinates: Array | Mapping[str, Any], axes: Sequence[Axis]) -> np.ndarray:
    """Return the numbers of the places along the axes, (m, K); refuse a place that is not on its axis."""
    columns = columns_of(coordinates, [axis.name for axis in axes])
    return np.stack([axis.index_of(columns[axis.name]) for axis in axes], axis=1)


def _check_lengths(columns: Mapping[str, np.ndarray], values: np.ndarray) -> None:
    for name, column in columns.items():
        if len(column) != len(values):
            raise ShapeError(f"axis {name} has {len(column)} entries; expected {len(values)}, one for each value")


def _checked_shape(columns: Mapping[str, np.ndarray], shape: Sequence[int]) -> list[int]:
    """Return the extents, having held the indices against them."""
    if len(shape) != len(columns) or min(shape) < 1:
        raise InvalidValueError(f"shape is {tuple(shape)}; expected {len(columns)} positive numbers, one for each axis")
    for (name, column), extent in zip(columns.items(), shape):
        if column.dtype.kind == "U":
            raise DTypeError(f"axis {name} holds names; expected indices below {extent}, or no shape")
        wrong = np.flatnonzero((column < 0) | (column >= extent) | (column != np.floor(column)))
        if len(wrong):
            raise InvalidValueError(
                f"axis {name}: index {column[wrong[0]]:g} in row {wrong[0]}; expected integers from 0 to {extent - 1}, "
                f"the shape being {tuple(shape)}"
            )
    return [int(extent) for extent in shape]


def _check_axes(axes: Sequence[Axis], index: np.ndarray, comm: Comm) -> None:
    """Refuse an axis along which all entries lie at one place."""
    extremes = np.stack([index, -index]).max(axis=1, initial=np.iinfo(np.int64).min)
    highest, lowest = allreduce_max(extremes, comm)
    for axis, high, low in zip(axes, highest, -lowest):
        if high == low:
            raise InvalidValueError(
                f"axis {axis.name}: all entries lie at {axis.places[high]!s}; nothing can be learned along it: drop it"
            )


def _moments(values: np.ndarray, n_entries: int, comm: Comm) -> tuple[float, float]:
    """Return mean and standard deviation of the values of all ranks."""
    largest = float(allreduce_max(np.array([np.abs(values).max(initial=0.0)]), comm)[0]) or 1.0
    reduced = values / largest
    mean = float(allreduce_sum(np.array([reduced.sum()]), comm)[0]) / n_entries
    variance = float(allreduce_sum(np.array([((reduced - mean) ** 2).sum()]), comm)[0]) / n_entries
    if variance <= (4 * np.finfo(float).eps) ** 2:
        raise InvalidValueError(f"all values equal {mean * largest:.17g}, up to rounding; expected values that differ")
    return mean * largest, variance**0.5 * largest


def _routed(index: np.ndarray, values: np.ndarray, shape: tuple[int, ...], comm: Comm) -> tuple[np.ndarray, np.ndarray]:
    """Bring every entry to the rank that holds its cell (collective)."""
    n_ranks = size(comm)
    if n_ranks == 1:
        return index, values
    key: np.ndarray = np.zeros(len(values), np.uint64)
    for k, extent in enumerate(shape):  # wraps: equal cells keep equal keys
        key = key * np.uint64(extent) + index[:, k].astype(np.uint64)
    owner = ((key * _SPREAD) >> np.uint64(33)) % np.uint64(n_ranks)
    rows = [np.flatnonzero(owner == rank) for rank in range(n_ranks)]
    arrived = np.concatenate(alltoall([index[part] for part in rows], comm=comm))
    return arrived, np.concatenate(alltoall([values[part] for part in rows], comm=comm))


def _merged(index: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the entries in lexicographic order of place and value, equal ones once, and how often each came."""
    order = np.lexsort((values, *index.T[::-1]))
    index, values = index[order], values[order]
    new = np.ones(len(values), bool)
    new[1:] = (np.diff(index, axis=0) != 0).any(axis=1) | (np.diff(values) != 0)
    starts = np.flatnonzero(new)
    return index[starts], values[starts], np.diff(np.append(starts, len(values))).astype(float)
