"""Values of the cells and the faces of a grid as a caller gives them, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, as_finite, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.solvers.poisson.grid import Layout

__all__ = ["FaceParts", "both_ends", "cell_values", "checked_mask", "joined", "padded_factors"]


def checked_mask(mask: Any) -> Array:
    """Return a mask of two or three axes as an array of booleans or integers.

    Raises
    ------
    DTypeError, ShapeError
    """
    array = mask if hasattr(mask, "dtype") else np.asarray(mask)
    if array.dtype.kind not in "biu":
        raise DTypeError(f"mask has dtype {array.dtype}; expected booleans")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ShapeError(f"mask has shape {tuple(array.shape)}; expected 2 or 3 axes of at least one cell")
    return array


def cell_values(values: Any, name: str, mask: Array) -> Array:
    """Return finite float64 values of the cells of a mask, from an array of them or one number for all."""
    xp = namespace(mask)
    if isinstance(values, int | float) or getattr(values, "ndim", None) == 0:
        values = xp.full(mask.shape, float(as_finite(np.asarray(values), name)))
    cells: Array = as_finite(values, name, shape=tuple(mask.shape), xp=xp)
    namespace(cells, mask)
    return cells


@dataclass(frozen=True)
class FaceParts:
    """Which faces arrays hold, and which of them belong to a rank.

    Parameters
    ----------
    shape : tuple of int
        Cells that the arrays cover.
    slices : tuple of slice or None
        Cells of this rank in them; None if these are all.
    periodic : tuple of bool
    """

    shape: tuple[int, ...]
    slices: tuple[slice, ...] | None
    periodic: tuple[bool, ...]


def padded_factors(face_factors: Any, mask: Array, layout: Layout, parts: FaceParts) -> Array:
    """Return the factor of the face before each cell, (ndim, *padded), 1 where no face is given.

    Parameters
    ----------
    face_factors : sequence of array_like
        One for each axis, with one face more than cells along it.
    mask : (*grid) bool array
        Of this rank.
    layout : Layout
    parts : FaceParts

    Raises
    ------
    ShapeError, InvalidValueError
        For another number of arrays or another shape, negative or infinite factors, and a periodic axis whose first and
        last faces, which are one, differ.
    """
    xp, ndim = namespace(mask), mask.ndim
    if isinstance(face_factors, str) or not hasattr(face_factors, "__len__") or len(face_factors) != ndim:
        raise ShapeError(f"face_factors is no sequence of {ndim} arrays; expected one for each axis")
    factors = xp.ones((ndim, *layout.padded_shape))
    for axis, given in enumerate(face_factors):
        name = f"face_factors[{axis}]"
        values = as_finite(given, name, shape=tuple(n + (a == axis) for a, n in enumerate(parts.shape)), xp=xp)
        namespace(values, mask)
        if bool((values < 0).any()):
            raise InvalidValueError(f"{name} holds negative values; expected zero or more")
        if parts.slices is not None:
            first, last = (values.take(place, axis=axis) for place in (0, -1))
            if parts.periodic[axis] and not bool((first == last).all()):
                raise InvalidValueError(f"{name} differs at both ends of a periodic axis; expected one face twice")
            values = values[tuple(slice(s.start, s.stop + (a == axis)) for a, s in enumerate(parts.slices))]
        factors[axis][_with_end(layout, axis, 0)] = values
    return factors


def _with_end(layout: Layout, axis: int, start: int) -> tuple[Any, ...]:
    """Return the index of the grid in a padded array, from cell `start` to the one after the last along an axis."""
    key = list(layout.key)
    k = axis + len(key) - len(layout.grid_shape)
    key[k] = slice(key[k].start + start, key[k].stop + 1)
    return tuple(key)


def both_ends(layout: Layout, padded: Array, axis: int) -> tuple[Array, Array]:
    """Return the values of the faces before and after each cell of the grid along an axis."""
    return layout.cells(padded), padded[_with_end(layout, axis, 1)]


def joined(low: Array, high: Array, axis: int) -> Array:
    """Return the values of all faces along an axis from those before and those after each cell."""
    return namespace(low).concatenate([low, high.take([-1], axis=axis)], axis=axis)
