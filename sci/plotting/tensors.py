"""Pictures of fields of tensors on a plane: an ellipse at every point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sci.backend import as_finite, to_host
from sci.errors import InvalidValueError, ShapeError
from sci.linalg import fractional_anisotropy, symmetric_eigen
from sci.plotting.figures import SIGNED, new_figure, require_matplotlib, save_figure

__all__ = ["plot_tensors"]

_IN_A_ROW = 4
_LARGEST = 0.48
"""Longest semi-axis, of the distance between points."""


def plot_tensors(
    fields: Mapping[str, np.ndarray],
    path: str | Path,
    *,
    values: Mapping[str, np.ndarray] | None = None,
    label: str = "fractional anisotropy",
    limits: tuple[float, float] | None = None,
    axes_names: tuple[str, str] = ("x, in voxels", "y, in voxels"),
    overwrite: bool = False,
) -> None:
    """Draw each field of tensors as a panel of ellipses, the shadows of the ellipsoids x' D^-1 x = 1, in one scale.

    Parameters
    ----------
    fields : mapping of str to (nx, ny, n, n) arrays
        Title of each panel, and its symmetric positive semidefinite tensors on a plane; the first two of their axes
        are those of the plane.
    path : str or Path
        Picture to write; the suffix names the format.
    values : mapping of str to (nx, ny) arrays, optional
        Colors of the same panels; the fractional anisotropy unless given.
    label : str
        Name of the colors, with its unit.
    limits : tuple of float, optional
        Ends of the colors, 0 and 1 unless given; with limits -c and c they are those of signed numbers.
    axes_names : tuple of str
        Labels of the axes, with units.
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, ShapeError, FileFormatError

    Notes
    -----
    Semi-axes are square roots of eigenvalues: lengths of diffusion in a time. The longest of all panels nearly meets
    its neighbor.
    """
    require_matplotlib(path)
    if not fields:
        raise InvalidValueError("plot_tensors of no field; expected at least one")
    if values is not None and set(values) != set(fields):
        raise InvalidValueError(f"values has {sorted(values)} and fields {sorted(fields)}; expected the same names")
    low, high = (0.0, 1.0) if limits is None else limits
    if not low < high:
        raise InvalidValueError(f"limits are {limits}; expected the lower one first")
    shapes = {name: _shadows(name, np.asarray(to_host(field))) for name, field in fields.items()}
    longest = max(float(widths.max()) for widths, _, _ in shapes.values())
    if longest == 0:
        raise InvalidValueError("all tensors are zero; expected positive ones")
    columns = min(_IN_A_ROW, len(fields))
    rows = -(-len(fields) // columns)
    figure = new_figure((1.0 + 3.1 * columns, 3.4 * rows))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (name, field) in zip(panels, fields.items()):
        colors = fractional_anisotropy(to_host(field)) if values is None else values[name]
        picture = _draw(axes, name, shapes[name], 2 * _LARGEST / longest, np.asarray(to_host(colors)))
        picture.set(cmap=SIGNED if low == -high else "viridis", clim=(low, high))
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(axes_names[0])
    for axes in panels[len(fields) :]:
        axes.remove()
    for axes in panels[::columns]:
        axes.set_ylabel(axes_names[1])
    extend = "neither" if values is None else "both"
    figure.colorbar(picture, ax=list(panels[: len(fields)]), label=label, shrink=0.8, extend=extend)
    save_figure(figure, path, overwrite=overwrite)


def _shadows(name: str, field: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the semi-axes (nx, ny) of each ellipse, and the angle of the longer one in degrees."""
    if field.ndim != 4 or field.shape[2] < 2 or 0 in field.shape:
        raise ShapeError(f"{name!r} has shape {field.shape}; expected (nx, ny, n, n) with n at least 2")
    eigen = symmetric_eigen(field[..., :2, :2])
    if float(eigen.values.min()) < -1e-6 * float(abs(eigen.values).max()):
        raise InvalidValueError(
            f"{name!r} has a tensor with the eigenvalue {float(eigen.values.min()):.3g}; expected none below 0"
        )
    short, long = np.moveaxis(np.sqrt(np.maximum(eigen.values, 0)), -1, 0)
    return long, short, np.degrees(np.arctan2(eigen.vectors[..., 1, 1], eigen.vectors[..., 0, 1]))


def _draw(axes: Any, name: str, shapes: tuple[np.ndarray, ...], scale: float, colors: np.ndarray) -> Any:
    """Add the ellipses of a panel; return them."""
    from matplotlib.collections import EllipseCollection

    long, short, angle = shapes
    given = as_finite(colors, f"values of {name!r}", shape=long.shape)
    x, y = np.meshgrid(*(np.arange(n) for n in long.shape), indexing="ij")
    offsets = np.stack([x.ravel(), y.ravel()], axis=1)
    ellipses = EllipseCollection(
        scale * long.ravel(),
        scale * short.ravel(),
        angle.ravel(),
        units="xy",
        offsets=offsets,
        offset_transform=axes.transData,
        array=given.ravel(),
        linewidths=0.4,
        edgecolors="0.35",
    )
    axes.add_collection(ellipses)
    axes.set(xlim=(-0.7, long.shape[0] - 0.3), ylim=(-0.7, long.shape[1] - 0.3), aspect="equal", facecolor="0.9")
    return ellipses
