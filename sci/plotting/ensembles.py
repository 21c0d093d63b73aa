"""Pictures of sets of points on a plane: their clusters, and which were chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sci.backend import as_finite, to_host
from sci.errors import InvalidValueError
from sci.plotting.figures import new_figure, require_matplotlib, save_figure

__all__ = ["plot_points"]


def plot_points(
    places: np.ndarray,
    path: str | Path,
    *,
    labels: np.ndarray | None = None,
    chosen: np.ndarray | None = None,
    axes_names: tuple[str, str] = ("first principal axis", "second principal axis"),
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Draw points on a plane, colored by their clusters, and rings around those that were chosen.

    Parameters
    ----------
    places : (n, 2) array
        Where each point is drawn; for example on two principal axes, or two torsion angles.
    path : str or Path
        Picture to write; the suffix names the format.
    labels : (n,) int array, optional
        Clusters of the points.
    chosen : (m,) int array, optional
        Numbers of the points that were chosen.
    axes_names : tuple of str
        Labels of the axes, with units.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, ShapeError, FileFormatError
    """
    require_matplotlib(path)
    where = as_finite(to_host(places), "places", shape=(None, 2))
    n = len(where)
    if n == 0:
        raise InvalidValueError("plot_points of nothing; expected at least one point")
    colors = None if labels is None else as_finite(to_host(labels), "labels", shape=(n,), dtype=np.int64)
    rings: np.ndarray = np.zeros(0, np.int64)
    if chosen is not None:
        rings = as_finite(to_host(chosen), "chosen", shape=(None,), dtype=np.int64)
        if len(rings) and not 0 <= rings.min() <= rings.max() < n:
            raise InvalidValueError(f"chosen holds numbers from {rings.min()} to {rings.max()}; expected 0 to {n - 1}")
    figure = new_figure((5.4, 4.4))
    axes = figure.subplots()
    size = float(np.clip(4000 / n, 1.5, 25))
    # Neighboring numbers of clusters get colors that differ.
    shown = {"color": "0.7"} if colors is None else {"c": (7 * colors) % 20, "cmap": "tab20", "vmin": 0, "vmax": 20}
    axes.scatter(*where.T, s=size, linewidths=0, label=f"all {n:,}", rasterized=n > 5000, **shown)
    if len(rings):
        style = {"s": 3 * size + 8, "facecolors": "none", "edgecolors": "tab:red", "linewidths": 1.0}
        axes.scatter(*where[rings].T, label=f"chosen {len(rings):,}", **style)
        axes.legend(frameon=False, fontsize=9)
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    if title:
        axes.set_title(title)
    save_figure(figure, path, overwrite=overwrite)
