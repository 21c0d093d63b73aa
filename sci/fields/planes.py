"""Samples of three planes at points: the features of a tri-plane field, with gradients for planes and points."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, as_finite, namespace, require_finite
from sci.errors import InvalidValueError, ShapeError
from sci.nn import op
from sci.nn.ops.lookup import added_rows

__all__ = ["AXES", "box_ends", "sample_planes"]

AXES = ((0, 1), (0, 2), (1, 2))
"""Coordinates of a point that lie in each plane."""

Box = tuple[tuple[float, float, float], tuple[float, float, float]]


def box_ends(box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Return the low and the high ends of a box; refuse one without volume."""
    low, high = (as_finite(end, "an end of the box", shape=(3,)) for end in box)
    if not (low < high).all():
        raise InvalidValueError(f"the box goes from {low} to {high}; expected a volume")
    return low, high


def _places(points: Array, n: int, box: Box) -> tuple[Array, Array, Array]:
    """Return cells, distances in them, and cells a unit of length, which are 0 outside of the box: (m, 3) each."""
    xp = namespace(points)
    low, high = (xp.asarray(end, dtype=points.dtype) for end in box_ends(box))
    scale = (n - 1) / (high - low)
    x = (points - low) * scale
    inside = xp.clip(x, 0, n - 1)
    cells = xp.minimum(inside.astype(np.int64), n - 2)
    return cells, inside - cells.astype(points.dtype), xp.where((x >= 0) & (x <= n - 1), scale, scale * 0)


def _corners(planes: Array, cells: Array, plane: int) -> tuple[list[Array], Array]:
    """Return the four corners (m, features) of each point's cell in a plane, and the number of the first."""
    n = planes.shape[1]
    a, b = AXES[plane]
    first = (plane * n + cells[:, a]) * n + cells[:, b]
    flat = planes.reshape(-1, planes.shape[3])
    return [flat[first + step] for step in (0, 1, n, n + 1)], first


def _sample_planes_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    planes, (cells, rest, slope) = residuals
    xp, n, features = namespace(dout), planes.shape[1], planes.shape[3]
    third = dout * dout.dtype.type(1 / 3)
    numbers, rows, along = [], [], [xp.zeros(len(dout), dout.dtype) for _ in range(3)]
    for plane, (a, b) in enumerate(AXES):
        (c00, c01, c10, c11), first = _corners(planes, cells, plane)
        u, v = rest[:, a, None], rest[:, b, None]
        for step, weight in ((0, (1 - u) * (1 - v)), (1, (1 - u) * v), (n, u * (1 - v)), (n + 1, u * v)):
            numbers.append(first + step)
            rows.append(third * weight)
        along[a] = along[a] + (third * ((c10 - c00) * (1 - v) + (c11 - c01) * v)).sum(axis=1)
        along[b] = along[b] + (third * ((c01 - c00) * (1 - u) + (c11 - c10) * u)).sum(axis=1)
    dplanes = added_rows(xp.concatenate(numbers), xp.concatenate(rows), (3 * n * n, features))
    return dplanes.reshape(planes.shape), xp.stack(along, axis=1) * slope


@op(vjp=_sample_planes_vjp)
def sample_planes(planes: Array, points: Array, *, box: Box) -> tuple[Array, Any]:
    """Return the mean of the bilinear samples of three planes at points: (m, features).

    The planes span (x, y), (x, z) and (y, z), with their first and last nodes on the faces of the box; beyond the box
    the features are those of the nearest point in it.

    Parameters
    ----------
    planes : (3, n, n, features) array
    points : (m, 3) array
        Of the dtype of the planes.
    box : two triples of float
        Low and high ends along x, y and z.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    The gradient by a point is that of the cell it lies in, on a node that of the cell above it. A sum of functions of
    two coordinates, each a matrix: 3 n^2 numbers a feature, where a tensor of n^3 has n^3.

    References
    ----------
    Chan et al., CVPR 2022, arXiv:2112.07945, section 3.2; Skorokhodov et al., arXiv:2206.10535 (EpiGRAF), section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.fields import sample_planes
    >>> planes = np.zeros((3, 2, 2, 1))
    >>> planes[0, 1, :, 0] = 3.0
    >>> sample_planes(planes, np.array([[0.25, 0.5, 0.5]]), box=((0, 0, 0), (1, 1, 1)))
    array([[0.25]])
    """
    if planes.ndim != 4 or planes.shape[0] != 3 or planes.shape[1] != planes.shape[2] or planes.shape[1] < 2:
        raise ShapeError(f"planes have shape {tuple(planes.shape)}; expected (3, n, n, features) with n at least 2")
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype != planes.dtype:
        raise ShapeError(
            f"points have shape {tuple(points.shape)} and dtype {points.dtype}; expected (m, 3) and {planes.dtype}"
        )
    require_finite(points, "points")
    places = _places(points, planes.shape[1], box)
    cells, rest, _ = places
    total: Any = 0
    for plane, (a, b) in enumerate(AXES):
        (c00, c01, c10, c11), _ = _corners(planes, cells, plane)
        u, v = rest[:, a, None], rest[:, b, None]
        low, high = c00 + v * (c01 - c00), c10 + v * (c11 - c10)
        total = total + (low + u * (high - low))
    return total * planes.dtype.type(1 / 3), (planes, places)
