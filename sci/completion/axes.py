"""Axes of a tensor or a field that is known at some entries: ordered coordinates, or names of categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import as_finite, is_device_array, to_host
from sci.distributed import Comm, allgather_rows, allreduce_max
from sci.errors import InvalidValueError, ShapeError

__all__ = ["Axis", "as_column", "axis_of"]

_EQUAL = 1e-6
"""Part of a step by which equally spaced places may be off."""


@entry
@dataclass(frozen=True, eq=False)
class Axis:
    """The places along one axis at which entries may lie: numbers in ascending order, or names.

    Parameters
    ----------
    name : str
    places : (n,) float64 array, or (n,) array of str
        Ascending, each once. Names are categories: nothing is assumed of their order.

    Raises
    ------
    InvalidValueError
        If places are not ascending, or not finite, or their range is not.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import Axis
    >>> Axis("time", np.array([0.0, 0.5, 2.0]))
    Axis(time: 3 coordinates from 0 to 2)
    >>> Axis("site", np.array(["Basel", "Bern"]))
    Axis(site: 2 categories)
    """

    name: str
    places: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", as_column(self.places, self.name))
        if self.places.ndim != 1 or not len(self.places):
            raise ShapeError(f"axis {self.name}: places of shape {self.places.shape}; expected (n,) with n at least 1")
        if len(self.places) > 1 and not (self.places[1:] > self.places[:-1]).all():
            raise InvalidValueError(f"axis {self.name}: the places do not ascend; pass numpy.unique of them")
        if self.is_ordered and not self.places[-1] / 2 - self.places[0] / 2 <= np.finfo(float).max / 2:
            raise InvalidValueError(
                f"axis {self.name}: the range from {self.places[0]:g} to {self.places[-1]:g} overflows float64; pass "
                "smaller coordinates, in another unit"
            )

    def __len__(self) -> int:
        return len(self.places)

    def __repr__(self) -> str:
        n = len(self.places)
        if not self.is_ordered:
            return f"Axis({self.name}: {n} categories)"
        return f"Axis({self.name}: {n} coordinates from {self.places[0]:g} to {self.places[-1]:g})"

    @property
    def is_ordered(self) -> bool:
        """Whether the places are numbers, along which a field may be smooth."""
        return bool(self.places.dtype.kind != "U")

    def regular(self, most: int) -> np.ndarray:
        """Return the places where they are equally spaced or categories; else equally spaced ones over their range.

        Parameters
        ----------
        most : int
            Number of equally spaced ones, at most; 2 or more.

        Returns
        -------
        (m,) array

        Raises
        ------
        InvalidValueError

        Examples
        --------
        >>> import numpy as np
        >>> from sci.completion import Axis
        >>> Axis("x", np.array([0.0, 1.0, 4.0, 6.0])).regular(3)
        array([0., 3., 6.])
        """
        if most < 2:
            raise InvalidValueError(f"most is {most}; expected at least 2")
        n = len(self.places)
        if not self.is_ordered or n < 2:
            return np.asarray(self.places)
        low, high = self.places[0], self.places[-1]
        if np.abs(np.linspace(low, high, n) - self.places).max() <= _EQUAL * (high - low) / n:
            return np.asarray(self.places)
        return np.linspace(low, high, min(n, most))

    def index_of(self, column: Any) -> np.ndarray:
        """Return the number of the place of each entry of a column.

        Parameters
        ----------
        column : (n,) numbers or str
            As the places.

        Returns
        -------
        (n,) int64 array

        Raises
        ------
        InvalidValueError
            For an entry that is none of the places.

        Examples
        --------
        >>> import numpy as np
        >>> from sci.completion import Axis
        >>> Axis("site", np.array(["Basel", "Bern"])).index_of(np.array(["Bern", "Bern"]))
        array([1, 1])
        """
        column = as_column(column, self.name, ordered=self.is_ordered)
        found = np.searchsorted(self.places, column)
        wrong = np.flatnonzero(self.places[np.minimum(found, len(self.places) - 1)] != column)
        if len(wrong):
            first = column[wrong[0]]
            raise InvalidValueError(
                f"axis {self.name}: {first!s} in row {wrong[0]} is none of its {len(self.places)} places; "
                f"expected one of {_some(self.places)}"
            )
        return np.asarray(found, dtype=np.int64)


def _some(places: np.ndarray) -> str:
    shown = ", ".join(str(place) for place in places[:4])
    return f"{shown}{', ...' if len(places) > 4 else ''}"


def as_column(column: Any, name: str, ordered: bool | None = None) -> np.ndarray:
    """Return a column of coordinates as finite float64 numbers, or as str for categories.

    Parameters
    ----------
    column : (n,) array_like of numbers or str
    name : str
        Name of the axis, for messages.
    ordered : bool, optional
        Whether it has to hold numbers (True) or names (False).
    """
    column = to_host(column) if is_device_array(column) else np.asarray(column)
    if column.dtype.kind == "O" and all(isinstance(item, str) for item in column.ravel()):
        column = column.astype(str)
    if ordered is not None and not column.size:  # an empty list is of no kind
        column = column.astype(float if ordered else str)
    is_name = column.dtype.kind == "U"
    if ordered is not None and is_name == ordered:
        given, wanted = ("names", "numbers") if is_name else ("numbers", "names of categories")
        raise InvalidValueError(f"axis {name} holds {given}; expected {wanted}, as in the observations")
    if is_name:
        if column.ndim != 1:
            raise ShapeError(f"axis {name} has shape {column.shape}; expected (n,)")
        return np.asarray(column)
    # -0.0 and 0.0 are one place.
    return np.asarray(as_finite(column, f"axis {name}", shape=(None,)) + 0.0)


def axis_of(name: str, column: np.ndarray, extent: int | None, comm: Comm) -> tuple[Axis, np.ndarray]:
    """Return the axis of a column whose parts lie on ranks, and the number of each entry's place (collective).

    Parameters
    ----------
    name : str
    column : (n,) float64 or str array
        This rank's part.
    extent : int or None
        Places 0, 1, ..., extent - 1 of a tensor; the places of the entries themselves unless given.
    comm : mpi4py communicator or None
    """
    if extent is not None:
        return Axis(name, np.arange(float(extent))), column.astype(np.int64)
    own = np.unique(column)
    places = np.unique(_all_names(own, comm) if own.dtype.kind == "U" else allgather_rows(own, comm))
    return Axis(name, places), np.searchsorted(places, column).astype(np.int64)


def _all_names(names: np.ndarray, comm: Comm) -> np.ndarray:
    """Return the names of all ranks, one after the other: they travel as the numbers of their characters."""
    width = max(1, int(allreduce_max(np.array([names.dtype.itemsize // 4]), comm)[0]))
    codes = np.ascontiguousarray(names.astype(f"U{width}")).view(np.uint32).reshape(-1, width)
    gathered = np.ascontiguousarray(allgather_rows(codes.astype(np.int64), comm).astype(np.uint32))
    return gathered.view(f"U{width}").reshape(-1)
