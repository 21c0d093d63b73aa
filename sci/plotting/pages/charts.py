"""Charts of a page, made with plotly: lines, bars, planes, isosurfaces and points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.backend import require_finite
from sci.distribution import install_command
from sci.errors import MissingDependencyError
from sci.plotting.pages.contents import Volume, thinned
from sci.plotting.pages.panels import Chart, number, plain

__all__ = [
    "FRAMES",
    "bars",
    "color_scale",
    "histogram",
    "image",
    "isosurface",
    "lines",
    "movie",
    "plane_of_points",
    "points",
    "require_plotly",
    "slices",
    "spread",
]

SIGN_COLORS = (
    *("#67001f", "#b2182b", "#d6604d", "#f4a582", "#fddbc7", "#f7f7f7"),
    *("#d1e5f0", "#92c5de", "#4393c3", "#2166ac", "#053061"),
)
"""Red is negative and blue positive: the map RdBu of matplotlib, as in the pictures of `sci.plotting`."""
SIZE_COLORS = "Viridis"
"""Colors of quantities of one sign."""
LINE_COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22")
LINE_POINTS, FRAMES, FRAME_POINTS, SOLID_POINTS, CLOUD_POINTS = 2000, 12, 84, 36, 3000
"""Points of a line, frames of a movie and their points a side, points a side of an isosurface, points of a cloud."""
CLIPPED = 98.0
"""Percentile of the absolute values where the colors end, if there are values far beyond it."""

Axis = tuple[np.ndarray, str]
"""Places along an axis, and its label with units."""


def require_plotly() -> Any:
    """Return the module `plotly.graph_objects`.

    Raises
    ------
    MissingDependencyError
    """
    try:
        import plotly.graph_objects
    except ImportError as error:
        raise MissingDependencyError(f"reports need plotly: {install_command('report')}") from error
    return plotly.graph_objects


def color_scale(values: np.ndarray) -> tuple[dict[str, Any], str]:
    """Return the colors for values and their limits, and a note where values lie beyond the limits.

    Values of both signs get colors that are symmetric about zero, others colors from the least to the largest.
    """
    low, high = float(values.min()), float(values.max())
    if low < 0 < high:
        sizes = np.abs(values)
        largest, most = float(sizes.max()), float(np.percentile(sizes, CLIPPED))
        limit = most if 0 < 3 * most < largest else largest
        note = "" if limit == largest else f"Colors end at {limit:.3g} of at most {largest:.3g}."
        stops = [[k / (len(SIGN_COLORS) - 1), color] for k, color in enumerate(SIGN_COLORS)]
        return {"colorscale": stops, "cmin": -limit, "cmax": limit}, note
    if low == high:
        low, high = low - 0.5, high + 0.5
    return {"colorscale": SIZE_COLORS, "cmin": low, "cmax": high, "reversescale": high <= 0}, ""


def lines(
    title: str,
    x: Axis,
    curves: Mapping[str, Any],
    y_label: str,
    *,
    log: bool = False,
    log_x: bool = False,
    marks: bool = False,
) -> Chart:
    """Return a chart of curves over one axis.

    Parameters
    ----------
    title : str
    x : (places, label)
    curves : mapping from names to (places, values), or to values on the places of `x`
    y_label : str
    log : bool
        Draw on a logarithmic axis if every value is positive.
    log_x : bool
        Draw the places, which are positive, on a logarithmic axis.
    marks : bool
        Mark every point.
    """
    go = require_plotly()
    figure, strides, smallest = go.Figure(), {1}, np.inf
    for k, (name, curve) in enumerate(curves.items()):
        places, values = curve if isinstance(curve, tuple) else (x[0], curve)
        values = _finite(np.asarray(values, dtype=float), name)
        kept, (step,) = thinned(values, (LINE_POINTS,))
        strides.add(step)
        smallest = min(smallest, float(kept.min(initial=np.inf)))
        mode = "lines+markers" if marks or len(kept) < 30 else "lines"
        style = {"line": {"color": LINE_COLORS[k % len(LINE_COLORS)], "width": 1.6}, "marker": {"size": 5}}
        figure.add_scatter(x=np.asarray(places)[::step], y=kept, name=plain(name), mode=mode, **style)
    _label(figure, x[1], y_label)
    if log and smallest > 0:
        figure.update_yaxes(type="log", exponentformat="power", dtick=_decades(figure))
    if log_x:
        figure.update_xaxes(type="log", exponentformat="SI")
    figure.update_layout(showlegend=len(curves) > 1)
    note = f"Every {_ordinal(max(strides))} point is drawn." if max(strides) > 1 else ""
    return Chart(title, figure, note)


def bars(title: str, names: Sequence[str], values: Any, y_label: str, *, log: bool = False) -> Chart:
    """Return a chart of horizontal bars, the first name on top."""
    go = require_plotly()
    data = _finite(np.asarray(values, dtype=float), title)
    labels = [plain(name if len(name) < 29 else f"…{name[-27:]}") for name in names]
    bar = go.Bar(x=data, y=list(range(len(labels))), orientation="h", marker={"color": LINE_COLORS[0]})
    figure = go.Figure(bar)
    _label(figure, y_label, "")
    figure.update_yaxes(
        autorange="reversed", tickmode="array", tickvals=list(range(len(labels))), ticktext=labels, automargin=True
    )
    if log and len(data) and 0 < 30 * data.min() < data.max():
        figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    figure.update_layout(height=max(220, 110 + 22 * len(labels)))
    return Chart(title, figure)


def histogram(title: str, values: Any, x_label: str, y_label: str) -> Chart:
    """Return a chart of the number of values in each of at most forty intervals."""
    go = require_plotly()
    data = _finite(np.asarray(values, dtype=float), title)
    counts, edges = np.histogram(data, bins=min(40, max(1, int(np.sqrt(len(data))))))
    figure = go.Figure(go.Bar(x=(edges[1:] + edges[:-1]) / 2, y=counts, marker={"color": LINE_COLORS[0]}))
    figure.update_layout(bargap=0.03)
    _label(figure, x_label, y_label)
    return Chart(title, figure)


def image(title: str, values: Any, x: Axis, y: Axis, quantity: str, *, note: str = "", like: Any = None) -> Chart:
    """Return a plane of values (nx, ny) with equal scales on both axes."""
    return movie(title, [("", values)], x, y, quantity, note=note, like=like)


def movie(
    title: str,
    frames: Sequence[tuple[str, Any]],
    x: Axis,
    y: Axis,
    quantity: str,
    *,
    slider: str = "",
    of: str = "frames",
    note: str = "",
    first: float = 1.0,
    like: Any = None,
) -> Chart:
    """Return planes of values (nx, ny) with a slider, all on one scale of colors.

    Parameters
    ----------
    title : str
    frames : sequence of (label, values)
        At most a dozen are shown, at equal distances.
    x, y : (places, label)
        Axes of the planes.
    quantity : str
        Label of the colors, with units.
    slider : str
        Name of what changes from frame to frame.
    of : str
        Name of the frames in the note.
    note : str
    first : float
        Which frame is shown first, from 0 to 1 for the first and the last.
    like : array, optional
        Values whose colors these planes share.
    """
    go = require_plotly()
    chosen = spread(len(frames), FRAMES)
    kept: list[np.ndarray] = []
    strides: tuple[int, ...] = (1, 1)
    for k in chosen:
        values, strides = thinned(np.asarray(frames[k][1], "f4"), (FRAME_POINTS, FRAME_POINTS))
        kept.append(_finite(values, title))
    colors, clipped = color_scale(np.stack(kept) if like is None else np.asarray(like))
    figure, shown = go.Figure(), round(first * (len(kept) - 1))
    for k, values in enumerate(kept):
        places = {"x": np.asarray(x[0])[:: strides[0]], "y": np.asarray(y[0])[:: strides[1]]}
        figure.add_heatmap(z=values.T, **places, coloraxis="coloraxis", visible=k == shown, name="")
    figure.update_layout(coloraxis={**colors, "colorbar": _colorbar(quantity)})
    _label(figure, x[1], y[1])
    figure.update_yaxes(scaleanchor="x", constrain="domain")
    figure.update_xaxes(constrain="domain")
    if len(kept) > 1:
        _add_slider(figure, [frames[k][0] for k in chosen], slider, shown)
    figure.update_layout(height=460 if len(kept) > 1 else 400)
    told = [note, clipped, _strides(strides, (x[1], y[1]))]
    if len(kept) < len(frames):
        told.append(f"{len(kept)} of {len(frames)} {of} are shown.")
    return Chart(title, figure, " ".join(filter(None, told)))


def slices(title: str, volume: Volume, quantity: str, names: Sequence[str], *, note: str = "") -> Chart:
    """Return planes across the last axis of a volume, with a slider."""
    x, y, z = volume.axes
    unit = " Å" if "Å" in names[2] else ""
    frames = [(f"{place:.4g}{unit}", volume.values[:, :, k]) for k, place in enumerate(z)]
    told = " ".join(filter(None, (note, _strides(volume.strides, names))))
    label = names[2].partition(" ")[0]
    return movie(title, frames, (x, names[0]), (y, names[1]), quantity, slider=label, of="planes", note=told, first=0.5)


def isosurface(title: str, volume: Volume, quantity: str, names: Sequence[str], places: Any = None) -> Chart | None:
    """Return surfaces of one absolute value in a volume, and `places` as dots; None for a volume without an inside."""
    go = require_plotly()
    values, strides = thinned(np.asarray(volume.values, "f4"), (SOLID_POINTS,) * 3)
    if min(values.shape) < 4 or float(values.min()) == float(values.max()):
        return None
    colors, _ = color_scale(values)
    signed = colors["cmin"] < 0 < colors["cmax"]
    level = float(np.percentile(np.abs(values), 90.0))
    if signed and level == 0:
        return None
    axes = [np.asarray(a, "f4")[::s].tolist() for a, s in zip(volume.axes, strides)]
    limits = {"isomin": -level if signed else level, "isomax": level, "cmin": -1.3 * level, "cmax": 1.3 * level}
    surface = {"count": 2 if signed else 1}
    hidden = {f"{axis}_show": False for axis in "xyz"}
    figure = go.Figure(
        go.Isosurface(
            value=values.ravel(),
            meta={"axes": axes},  # the page makes the places of all points from these
            colorscale=colors["colorscale"],
            surface=surface,
            opacity=0.6,
            caps=hidden,
            showscale=False,
            **limits,
        )
    )
    if places is not None and len(places):
        _add_dots(figure, places)
    _scene(figure, names)
    total = tuple(s * t for s, t in zip(strides, volume.strides))
    sign = f"±{level:.3g}, blue positive, red negative" if signed else f"{level:.3g}"
    return Chart(title, figure, f"Surfaces of {quantity} = {sign}. {_strides(total, names)}".strip())


def points(title: str, positions: np.ndarray, values: np.ndarray, quantity: str, *, cell: Any = None) -> Chart:
    """Return points in space colored by a value, in angstrom, and the edges of a cell."""
    go = require_plotly()
    kept, (step,) = thinned(np.arange(len(positions)), (CLOUD_POINTS,))
    where, shown = np.asarray(positions, "f4")[kept], _finite(np.asarray(values, "f4")[kept], quantity)
    colors, clipped = color_scale(np.asarray(values, "f4"))
    dots = {**colors, "color": shown, "size": 4 if len(kept) > 300 else 7, "colorbar": _colorbar(quantity)}
    dots["line"] = {"color": "#666", "width": 0.5}
    figure = go.Figure(
        go.Scatter3d(x=where[:, 0], y=where[:, 1], z=where[:, 2], mode="markers", marker=dots, name=plain(quantity))
    )
    if cell is not None:
        edges = _edges(np.asarray(cell))
        line = {"color": "#333", "width": 3}
        figure.add_scatter3d(x=edges[:, 0], y=edges[:, 1], z=edges[:, 2], mode="lines", line=line, name="cell")
    _scene(figure, ("x (Å)", "y (Å)", "z (Å)"))
    figure.update_layout(showlegend=False)
    note = f"Every {_ordinal(step)} of {number(len(positions))} points is drawn." if step > 1 else ""
    return Chart(title, figure, " ".join(filter(None, (note, clipped))))


def plane_of_points(title: str, places: Any, groups: Mapping[str, Any]) -> Chart:
    """Return points (n, 2) on a plane, colored by the group of each; `groups` holds a name and the groups."""
    go = require_plotly()
    where = np.asarray(places, "f4")
    kept, (step,) = thinned(np.arange(len(where)), (CLOUD_POINTS,))
    where = _finite(where[kept], title)
    ((name, groups_of_points),) = groups.items()
    dots = {"size": 5, "color": np.asarray(groups_of_points)[kept], "colorscale": "Turbo", "showscale": True}
    dots["colorbar"] = _colorbar(name)
    figure = go.Figure(go.Scatter(x=where[:, 0], y=where[:, 1], mode="markers", marker=dots))
    _label(figure, "first axis", "second axis")
    figure.update_layout(height=460)
    return Chart(title, figure, f"Every {_ordinal(step)} of {number(len(places))} points is drawn." if step > 1 else "")


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    require_finite(values, name)
    return values


def _edges(cell: np.ndarray) -> np.ndarray:
    """Return a path along the twelve edges of a cell, broken by repeated corners instead of gaps."""
    order = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 0, 0), (1, 0, 1)]
    order += [(1, 1, 1), (1, 1, 0), (1, 1, 1), (0, 1, 1), (0, 1, 0), (0, 1, 1), (0, 0, 1)]
    corners: np.ndarray = np.array(order, dtype=float) @ cell
    return corners


def _add_dots(figure: Any, places: Any) -> None:
    kept, _ = thinned(np.asarray(places, "f4"), (CLOUD_POINTS // 2,))
    dots = {"size": 2, "color": "#444"}
    figure.add_scatter3d(x=kept[:, 0], y=kept[:, 1], z=kept[:, 2], mode="markers", marker=dots, name="atoms")
    figure.update_layout(showlegend=False)


def _scene(figure: Any, names: Sequence[str]) -> None:
    axes = {f"{axis}axis": {"title": {"text": name}} for axis, name in zip("xyz", names)}
    figure.update_layout(scene={**axes, "aspectmode": "data"}, height=480)


def _label(figure: Any, x_label: str, y_label: str) -> None:
    figure.update_xaxes(title={"text": x_label})
    figure.update_yaxes(title={"text": y_label})


def _colorbar(quantity: str) -> dict[str, Any]:
    return {"title": {"text": plain(quantity), "side": "right"}, "thickness": 14, "len": 0.9}


def _add_slider(figure: Any, labels: Sequence[str], name: str, active: int) -> None:
    count = len(labels)
    steps = [
        {"method": "restyle", "label": plain(label), "args": [{"visible": [j == k for j in range(count)]}]}
        for k, label in enumerate(labels)
    ]
    shown = {"prefix": f"{plain(name)} = " if name else ""}
    figure.update_layout(sliders=[{"steps": steps, "currentvalue": shown, "pad": {"t": 48}, "active": active}])


def _decades(figure: Any) -> int | None:
    """Return one tick a decade for curves of more than one, so that no labels run into one another."""
    values = np.concatenate([np.asarray(trace.y, dtype=float) for trace in figure.data])
    return 1 if len(values) and np.log10(values.max() / values.min()) > 1.5 else None


def spread(n: int, limit: int) -> list[int]:
    """Return at most `limit` of n numbers at about equal distances, the first and the last among them."""
    return sorted({round(k) for k in np.linspace(0, n - 1, min(n, limit))})


def _strides(strides: Sequence[int], names: Sequence[str]) -> str:
    parts = [f"{_ordinal(s)} along {name.partition(' ')[0]}" for s, name in zip(strides, names) if s > 1]
    return f"Points are read with a stride: every {', '.join(parts)}." if parts else ""


def _ordinal(n: int) -> str:
    suffix = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"
