"""Charts hold the numbers that they are given, thinned as they say, in colors that tell the sign."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.plotting.pages import charts
from sci.plotting.pages.contents import Volume

LINE = np.linspace(0.0, 1.0, 5)
NAMES = ("x (Å)", "y (Å)", "z (Å)")


def _volume(values: np.ndarray) -> Volume:
    x, y, z = (np.linspace(0, 1, n) for n in values.shape)
    return Volume(values, (x, y, z), (1, 1, 1))


def test_colors_of_both_signs_are_symmetric_about_zero() -> None:
    colors, note = charts.color_scale(np.array([-1.0, 3.0]))
    assert (colors["cmin"], colors["cmax"], note) == (-3.0, 3.0, "")
    spikes, note = charts.color_scale(np.concatenate([np.linspace(-1, 1, 1000), [500.0]]))
    assert spikes["cmax"] == pytest.approx(1.0, rel=0.05)
    assert "at most 500" in note


def test_colors_of_one_sign_and_of_a_constant() -> None:
    assert charts.color_scale(np.array([1.0, 3.0]))[0]["colorscale"] == charts.SIZE_COLORS
    constant, _ = charts.color_scale(np.zeros(3))
    assert constant["cmin"] < constant["cmax"]


def test_the_colors_of_sign_are_those_of_the_other_pictures() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    stops = charts.SIGN_COLORS
    for k, color in enumerate(stops):
        ours = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        np.testing.assert_allclose(matplotlib.colormaps["RdBu"](k / (len(stops) - 1))[:3], ours, atol=0.02)


def test_long_lines_are_thinned_and_say_so() -> None:
    n = 10 * charts.LINE_POINTS
    chart = charts.lines("t", (np.arange(n), "step"), {"loss": np.arange(1.0, n + 1)}, "loss", log=True)
    assert len(chart.figure.data[0].y) == charts.LINE_POINTS
    assert chart.note == "Every 10th point is drawn."
    assert chart.figure.layout.yaxis.type == "log"
    assert chart.figure.layout.xaxis.title.text == "step"


def test_a_line_with_a_zero_is_not_drawn_on_a_logarithmic_axis() -> None:
    assert charts.lines("t", (LINE, "x"), {"a": LINE}, "y", log=True).figure.layout.yaxis.type is None


def test_names_in_a_legend_are_plain() -> None:
    chart = charts.lines("t", (LINE, "x"), {"<a href='javascript:1'>": LINE, "b": LINE}, "y")
    assert "<" not in chart.figure.data[0].name


def test_values_that_are_not_finite_are_refused() -> None:
    bad = np.array([0.0, np.nan])
    with pytest.raises(InvalidValueError, match="loss holds 1 values"):
        charts.lines("t", (bad, "x"), {"loss": bad}, "y")
    with pytest.raises(InvalidValueError, match="t holds"):
        charts.image("t", bad[:, None], (LINE, "x"), (LINE, "y"), "q")


def test_a_movie_shows_frames_at_equal_distances() -> None:
    frames = [(str(k), np.full((3, 2), float(k))) for k in range(40)]
    chart = charts.movie("t", frames, (np.arange(3), "x"), (np.arange(2), "y"), "q (V)", slider="time", first=0.5)
    shown = [trace.visible for trace in chart.figure.data]
    assert (len(shown), sum(shown)) == (charts.FRAMES, 1)
    assert chart.figure.layout.sliders[0].active == shown.index(True)
    assert "12 of 40 frames are shown" in chart.note
    assert chart.figure.layout.coloraxis.cmax == 39.0
    assert chart.figure.layout.coloraxis.colorbar.title.text == "q (V)"
    assert chart.figure.data[0].z.shape == (2, 3)


def test_planes_are_thinned_and_say_so() -> None:
    chart = charts.image("t", np.zeros((200, 3)), (np.arange(200), "x (Å)"), (np.arange(3), "y (Å)"), "q")
    assert chart.figure.data[0].z.shape == (3, 67)
    np.testing.assert_array_equal(chart.figure.data[0].x, np.arange(200)[::3])
    assert "every 3rd along x" in chart.note


def test_planes_share_the_colors_of_others() -> None:
    chart = charts.image("t", np.ones((2, 2)), (LINE[:2], "x"), (LINE[:2], "y"), "q", like=np.array([-4.0, 2.0]))
    assert (chart.figure.layout.coloraxis.cmin, chart.figure.layout.coloraxis.cmax) == (-4.0, 4.0)


def test_surfaces_of_both_signs() -> None:
    x = np.linspace(-1, 1, 6)
    values = x[:, None, None] + 0 * x[:, None] + 0 * x
    chart = charts.isosurface("t", _volume(values), "potential (V)", NAMES, np.zeros((2, 3)))
    assert chart is not None
    surface, dots = chart.figure.data
    assert surface.isomin == -surface.isomax < 0
    assert surface.surface.count == 2
    assert [len(axis) for axis in surface.meta["axes"]] == [6, 6, 6]
    assert len(dots.x) == 2


@pytest.mark.parametrize("shape", [(2, 5, 5), (5, 5, 5)])
def test_volumes_without_an_inside_or_a_change_have_no_surface(shape: tuple[int, ...]) -> None:
    assert charts.isosurface("t", _volume(np.ones(shape)), "q", NAMES) is None


def test_points_have_the_colors_of_their_values_and_a_cell() -> None:
    places = np.arange(12.0).reshape(4, 3)
    chart = charts.points("t", places, np.array([-1.0, 1, 2, 0]), "charge (e)", cell=np.eye(3))
    dots, edges = chart.figure.data
    np.testing.assert_array_equal(dots.marker.color, [-1, 1, 2, 0])
    assert (dots.marker.cmin, dots.marker.cmax) == (-2.0, 2.0)
    path = np.stack([edges.x, edges.y, edges.z], axis=1)
    steps = np.abs(np.diff(path, axis=0)).sum(axis=1)
    assert set(steps) == {1.0}, "the path runs along edges"
    drawn = {tuple(sorted((tuple(a), tuple(b)))) for a, b in itertools.pairwise(path)}
    assert len(drawn) == 12


def test_bars_and_histograms() -> None:
    bars = charts.bars("t", ["a", "b"], [1.0, 1000.0], "numbers", log=True).figure
    assert bars.layout.xaxis.type == "log"
    assert list(bars.layout.yaxis.ticktext) == ["a", "b"]
    counts = charts.histogram("t", np.arange(100.0), "q", "number").figure.data[0].y
    assert sum(counts) == 100


def test_the_fix_for_a_missing_plotly_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match=r"pip install .*\[report\]"):
        charts.require_plotly()


def test_numbers_are_spread_from_the_first_to_the_last() -> None:
    assert charts.spread(3, 12) == [0, 1, 2]
    assert charts.spread(100, 3) == [0, 50, 99]
