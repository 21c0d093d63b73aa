"""The conditions on the walls of a box and on the bodies inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["CONDITIONS", "Boundary", "as_spacing", "beyond_face", "neumann_cells", "parse_boundary"]

CONDITIONS = ("dirichlet", "neumann", "periodic")
Boundary: TypeAlias = tuple[tuple[str, str], ...]
"""Condition on the low and the high wall of each axis."""


def parse_boundary(boundary: Any, ndim: int) -> Boundary:
    """Return the condition of each wall from one name, one for each axis, or a (low, high) pair for each axis.

    Raises
    ------
    InvalidValueError
        For an unknown name, a wrong number of axes, or an axis that is periodic on one side only.
    """
    per_axis = [boundary] * ndim if isinstance(boundary, str) else list(boundary)
    if len(per_axis) != ndim:
        raise InvalidValueError(f"boundary has {len(per_axis)} entries; expected one for each of the {ndim} axes")
    walls = tuple((e, e) if isinstance(e, str) else tuple(e) for e in per_axis)
    for axis, pair in enumerate(walls):
        if len(pair) != 2 or any(name not in CONDITIONS for name in pair):
            raise InvalidValueError(
                f"boundary of axis {axis} is {pair}; expected one of {', '.join(CONDITIONS)}, or a pair of them"
            )
        if (pair[0] == "periodic") != (pair[1] == "periodic"):
            raise InvalidValueError(f"boundary of axis {axis} is {pair}; expected 'periodic' on both sides or on none")
    return tuple((str(low), str(high)) for low, high in walls)


def neumann_cells(neumann_body: Any, mask: Array) -> Array:
    """Return the cells outside of the fluid with a Neumann surface, as booleans on the grid.

    Parameters
    ----------
    neumann_body : bool or (*grid) array of bool
        One condition for all bodies, or true in the Neumann bodies.
    mask : (*grid) bool array

    Raises
    ------
    DTypeError, ShapeError
    """
    xp = namespace(mask)
    if isinstance(neumann_body, bool | np.bool_):
        return ~mask if neumann_body else xp.zeros(mask.shape, dtype=bool)
    if isinstance(neumann_body, str):
        raise DTypeError(f"neumann_body is {neumann_body!r}; expected True, False, or an array of booleans")
    cells = to_device(neumann_body, xp).astype(bool)
    if cells.shape != mask.shape:
        raise ShapeError(f"neumann_body has shape {tuple(cells.shape)}; expected that of the mask, {tuple(mask.shape)}")
    return cells & ~mask


LEAST, MOST = 1e-150, 1e150
"""Widths of cells whose squares stay within float64."""


def as_spacing(spacing: float | Sequence[float], ndim: int) -> tuple[float, ...]:
    """Return the width of a cell along each axis."""
    values = (spacing,) * ndim if isinstance(spacing, int | float) else tuple(spacing)
    widths = tuple(float(h) for h in values)
    if len(widths) != ndim or not all(0 < h < float("inf") for h in widths):
        raise InvalidValueError(f"spacing is {spacing}; expected a positive number, or one for each of {ndim} axes")
    if not all(LEAST <= h <= MOST for h in widths):
        raise InvalidValueError(f"spacing is {spacing}, whose 1 / spacing^2 leaves float64; expected {LEAST} to {MOST}")
    return widths


def beyond_face(padded: Array, axis: int, side: int) -> Array:
    """Return the view of a padded array that holds, for each cell of the grid, the cell beyond a face."""
    key = [slice(1, -1)] * padded.ndim
    key[axis] = slice(2, None) if side > 0 else slice(0, -2)
    return padded[tuple(key)]
