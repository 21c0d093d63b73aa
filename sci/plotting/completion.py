"""Pictures of completed fields: maps of mean and deviation, and curves with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sci.completion import Axis, FunctionalCP, FunctionalTucker, Observations
from sci.errors import InvalidValueError
from sci.plotting.figures import new_figure, require_matplotlib, save_figure

__all__ = ["curve_of", "map_of", "plot_completion"]

POINTS, MAP_POINTS = 200, 80
MOST_CURVES = 5
"""Categories of which a curve is drawn."""


def plot_completion(
    model: FunctionalCP | FunctionalTucker,
    path: str | Path,
    *,
    observations: Observations | None = None,
    level: float = 0.9,
    quantity: str = "value",
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Draw a field along each numeric axis with intervals, and as a map over the first two of them.

    The other axes stand at their middle places; of the first axis of categories up to five curves are drawn.

    Parameters
    ----------
    model : FunctionalCP or FunctionalTucker
    path : str or Path
        Picture to write; the suffix names the format.
    observations : Observations, optional
        Draw the places of the entries on the map.
    level : float
        Probability with which a new observation lies in the band.
    quantity : str
        Name of the values.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for a field without a numeric axis.
    """
    require_matplotlib(path)
    ordered = [axis for axis in model.axes if axis.is_ordered]
    if not ordered:
        raise InvalidValueError("plot_completion of a field of categories alone; expected a numeric axis")
    maps = ordered[:2] if len(ordered) > 1 else []
    figure = new_figure((4.2 * max(2, len(ordered)), 6.4 if maps else 3.4))
    rows = figure.subfigures(2, 1) if maps else [figure]
    if maps:
        _draw_maps(figure, rows[0].subplots(1, 2), model, maps, observations, quantity)
    panels = np.atleast_1d(rows[-1].subplots(1, len(ordered), sharey=True))
    for axes, axis in zip(panels, ordered):
        _draw_curves(axes, model, axis, level)
    panels[0].set_ylabel(quantity)
    if title:
        figure.suptitle(title)
    save_figure(figure, path, overwrite=overwrite)


def _middle(model: FunctionalCP | FunctionalTucker) -> dict[str, Any]:
    return {axis.name: axis.places[len(axis) // 2] for axis in model.axes}


def _filled(
    model: FunctionalCP | FunctionalTucker, columns: Mapping[str, np.ndarray], fixed: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return columns of all axes, those that are not given with one value."""
    n = len(next(iter(columns.values())))
    return {axis.name: columns.get(axis.name, np.full(n, fixed[axis.name])) for axis in model.axes}


def map_of(
    model: FunctionalCP | FunctionalTucker, first: Axis, second: Axis, points: int = MAP_POINTS
) -> tuple[np.ndarray, ...]:
    """Return x, y, mean (nx, ny) and deviation of a field over two of its axes, the others at their middle places."""
    x, y = (np.linspace(axis.places[0], axis.places[-1], points) for axis in (first, second))
    grid = {first.name: np.repeat(x, points), second.name: np.tile(y, points)}
    found = model.predict(_filled(model, grid, _middle(model)))
    return x, y, found.mean.reshape(points, points), found.deviation.reshape(points, points)


def curve_of(model: FunctionalCP | FunctionalTucker, axis: Axis, level: float, **fixed: Any) -> tuple[np.ndarray, ...]:
    """Return x, mean, and the ends of the interval along an axis; the others are given, or at their middle places."""
    x = np.linspace(axis.places[0], axis.places[-1], POINTS)
    found = model.predict(_filled(model, {axis.name: x}, _middle(model) | fixed))
    return x, found.mean, *found.interval(level)


def _draw_maps(
    figure: Any,
    panels: Any,
    model: FunctionalCP | FunctionalTucker,
    axes: list[Axis],
    observations: Observations | None,
    quantity: str,
) -> None:
    first, second = axes
    x, y, mean, deviation = map_of(model, first, second)
    names = [axis.name for axis in model.axes]
    for panel, values, label in zip(panels, (mean, deviation), (quantity, "standard deviation")):
        drawn = panel.pcolormesh(x, y, values.T, shading="nearest", rasterized=True)
        figure.colorbar(drawn, ax=panel, label=label)
        panel.set(xlabel=first.name, ylabel=second.name)
        if observations is not None:
            pairs = np.unique(observations.index[:, [names.index(first.name), names.index(second.name)]], axis=0)
            panel.plot(first.places[pairs[:, 0]], second.places[pairs[:, 1]], "k.", ms=2, alpha=0.5)


def _draw_curves(panel: Any, model: FunctionalCP | FunctionalTucker, axis: Axis, level: float) -> None:
    categories = next((other for other in model.axes if not other.is_ordered), None)
    names = [None] if categories is None else list(categories.places[:MOST_CURVES])
    for k, name in enumerate(names):
        fixed = {} if categories is None else {categories.name: name}
        x, mean, low, high = curve_of(model, axis, level, **fixed)
        panel.fill_between(x, low, high, color=f"C{k}", alpha=0.2, linewidth=0)
        panel.plot(x, mean, color=f"C{k}", label=name)
    if categories is not None:
        panel.legend(frameon=False, fontsize=8)
    middle = _middle(model)
    held = [f"{other.name} {_short(middle[other.name])}" for other in model.axes if other not in (axis, categories)]
    panel.set(xlabel=axis.name, title=", ".join(held))
    panel.title.set_fontsize(9)


def _short(place: Any) -> str:
    return f"{place:.4g}" if isinstance(place, float) else str(place)
