"""Pictures of trainings and predictions show the numbers that they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.nn import Checkpoint, CoordinateCheck
from sci.plotting import plot_coordinates, plot_prediction, plot_training

figure_module = pytest.importorskip("matplotlib.figure")
LOSSES = np.geomspace(1.0, 0.1, 7)
DONE = Checkpoint(
    7, {}, {}, LOSSES, {"test_l2": np.array([0.5, 0.2])}, {"n_samples": 25, "batch_size": 10, "optimizer": "Adam"}
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Figures in place of their files: rendering takes seconds."""
    figures: list[Any] = []

    def keep(figure: Any, path: Any, **options: Any) -> None:
        figures.append(figure)
        Path(path).touch()

    monkeypatch.setattr(figure_module.Figure, "savefig", keep)
    return figures


def test_the_loss_curve(drawn, tmp_path):
    plot_training(DONE, tmp_path / "a.png", title="run")
    axes = drawn[0].axes[0]
    steps, means, metric = axes.lines
    np.testing.assert_allclose(steps.get_xdata(), np.arange(1, 8) / 3)
    np.testing.assert_array_equal(steps.get_ydata(), LOSSES)
    np.testing.assert_allclose(means.get_ydata(), [LOSSES[:3].mean(), LOSSES[3:6].mean()])
    np.testing.assert_array_equal(metric.get_xydata(), [[1, 0.5], [2, 0.2]])
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "epoch"
    assert [t.get_text() for t in axes.get_legend().get_texts()][-1] == "test_l2"
    assert (tmp_path / "a.png").is_file()
    with pytest.raises(InvalidValueError, match="step 0"):
        plot_training(Checkpoint(0, {}, {}, np.empty(0)), tmp_path / "b.png")


def test_coordinate_checks_side_by_side(drawn, tmp_path):
    slow = CoordinateCheck((16, 64), ("a", "b"), np.array([[0.1, 0.2], [0.1, 0.2]]), 3)
    fast = CoordinateCheck((16, 64), ("a", "b"), np.array([[0.1, 0.2], [0.4, 0.1]]), 3)
    plot_coordinates({"rule": slow, "standard": fast}, tmp_path / "a.png")
    left, right = drawn[0].axes
    assert (left.get_title(), right.get_title()) == ("rule", "standard")
    np.testing.assert_array_equal(right.lines[0].get_xydata(), [[16, 0.1], [64, 0.4]])
    assert [t.get_text() for t in right.get_legend().get_texts()] == ["a, slope 1.00", "b, slope -0.50"]
    assert left.get_ylabel() == "change after 3 steps"
    assert left.get_ylim() == right.get_ylim(), "on one scale"
    with pytest.raises(InvalidValueError, match="at least one"):
        plot_coordinates({}, tmp_path / "b.png")


def test_passes_that_are_one_for_the_training_are_epochs(drawn, tmp_path):
    """`TrainingConfig(square=True)` hands the trainer all passes as one: 4 passes of 5 samples in batches of 3."""
    losses = np.geomspace(1.0, 0.1, 7)
    done = Checkpoint(7, {}, {}, losses, {"l2": np.array([0.2])}, {"n_samples": 20, "batch_size": 3, "passes": 4})
    plot_training(done, tmp_path / "a.png")
    steps, means, metric = drawn[0].axes[0].lines
    np.testing.assert_allclose(steps.get_xdata(), 4 * np.arange(1, 8) / 7)
    np.testing.assert_array_equal(means.get_xdata(), [1, 2, 3, 4])
    expected = [losses[:2].mean(), losses[2:4].mean(), losses[4], losses[5:].mean()]
    np.testing.assert_allclose(means.get_ydata(), expected)
    np.testing.assert_array_equal(metric.get_xydata(), [[4, 0.2]])


@pytest.mark.parametrize("grid", [(9,), (5, 6), (4, 5, 6)])
def test_predictions_beside_the_truth(drawn, tmp_path, grid):
    truth, prediction, inputs = np.random.default_rng(0).normal(size=(3, 2, *grid))
    plot_prediction(truth, prediction, tmp_path / "a.png", inputs=inputs, title="darcy", labels=("a (m2)", "u (Pa)"))
    figure = drawn[0]
    relative = np.linalg.norm((prediction - truth)[1, ..., *([3] if len(grid) == 3 else [])])
    relative /= np.linalg.norm(truth[1, ..., *([3] if len(grid) == 3 else [])])
    titles = [a.get_title() for a in figure.axes]
    assert f"error, {relative:.2%} in L2" in titles
    if len(grid) == 1:
        left, right = figure.axes[2:4]
        np.testing.assert_array_equal([line.get_ydata() for line in left.lines], [inputs[1], truth[1], prediction[1]])
        assert (left.get_ylabel(), right.get_ylabel()) == ("a (m2), u (Pa)", "prediction - truth")
        np.testing.assert_array_equal(right.lines[0].get_ydata(), prediction[1] - truth[1])
        return
    pictures = [a for a in figure.axes if a.images]
    assert len(pictures) == 8
    shown = [np.asarray(a.images[0].get_array()).T for a in pictures[4:]]
    plane = (1, slice(None), slice(None), *([3] if len(grid) == 3 else []))
    for found, expected in zip(shown, (inputs, truth, prediction, prediction - truth)):
        np.testing.assert_allclose(found, expected[plane])
    bars = [a.get_ylabel() for a in figure.axes if a.get_label() == "<colorbar>"]
    assert bars == ["a (m2)", "u (Pa)", "prediction - truth"] * 2
    assert [a.get_xlabel() for a in pictures] == [""] * 4 + ["x, of the length"] * 4
    assert [a.get_title() for a in pictures[:3]] == ["input", "truth", "prediction"]
    assert [a.get_title() for a in pictures[4:7]] == ["", "", ""]
    assert pictures[5].images[0].get_clim() == pictures[6].images[0].get_clim()
    low, high = pictures[7].images[0].get_clim()
    assert low == -high


def test_the_file_is_a_picture(tmp_path):
    plot_training(DONE, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_cannot_be_drawn(tmp_path):
    good = np.ones((2, 4))
    with pytest.raises(ShapeError, match="prediction has shape"):
        plot_prediction(good, good[:1], tmp_path / "a.png")
    with pytest.raises(ShapeError, match="truth has shape"):
        plot_prediction(good[0], good[0], tmp_path / "a.png")
    with pytest.raises(InvalidValueError, match="prediction holds 1 values"):
        plot_prediction(good, np.where(np.eye(2, 4) * [[1], [0]], np.nan, good), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
