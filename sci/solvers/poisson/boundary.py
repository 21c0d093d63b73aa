"""The conditions on the walls of a box and on the bodies inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError, ShapeError

__all__ = ["CONDITIONS", "Walls", "as_spacing", "beyond_face", "insulating_cells", "parse_walls"]

CONDITIONS = ("dirichlet", "neumann", "periodic")
Walls: TypeAlias = tuple[tuple[str, str], ...]
"""Condition on the low and the high wall of each axis."""


def parse_walls(boundary: Any, ndim: int) -> Walls:
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


def insulating_cells(body: Any, mask: Array) -> Array:
    """Return, as booleans on the grid, the cells outside of the fluid whose surface lets nothing through.

    Parameters
    ----------
    body : "dirichlet", "neumann", or array
        One condition for all bodies, or booleans of the shape of `mask`, true in bodies with a Neumann surface.
    mask : (*grid) bool array

    Raises
    ------
    InvalidValueError, ShapeError
    """
    xp = namespace(mask)
    if isinstance(body, str):
        if body not in CONDITIONS[:2]:
            raise InvalidValueError(f"body is {body!r}; expected 'dirichlet', 'neumann', or an array of booleans")
        return ~mask if body == "neumann" else xp.zeros(mask.shape, dtype=bool)
    cells = to_device(body, xp).astype(bool)
    if cells.shape != mask.shape:
        raise ShapeError(f"body has shape {tuple(cells.shape)}; expected that of the mask, {tuple(mask.shape)}")
    return cells & ~mask


def as_spacing(spacing: float | Sequence[float], ndim: int) -> tuple[float, ...]:
    """Return the width of a cell along each axis."""
    values = (spacing,) * ndim if isinstance(spacing, int | float) else tuple(spacing)
    widths = tuple(float(h) for h in values)
    if len(widths) != ndim or not all(0 < h < float("inf") for h in widths):
        raise InvalidValueError(f"spacing is {spacing}; expected a positive number, or one for each of {ndim} axes")
    return widths


def beyond_face(padded: Array, axis: int, side: int) -> Array:
    """Return the view of a padded array that holds, for each cell of the grid, the cell beyond a face."""
    key = [slice(1, -1)] * padded.ndim
    key[axis] = slice(2, None) if side > 0 else slice(0, -2)
    return padded[tuple(key)]
