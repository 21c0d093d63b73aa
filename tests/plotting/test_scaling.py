"""Pictures of power laws, and what cannot be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.plotting import plot_law
from sci.plotting.scaling import beyond
from sci.scaling import fit_power_law

X = np.geomspace(1e2, 1e5, 10)
FIT = fit_power_law(X, (0.5 + 3 * X**-0.5) * (1 + 0.02 * np.random.default_rng(0).standard_normal(10)))


def test_it_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot_law(FIT, tmp_path / "law.png", x_label="parameters", title="a law")
    assert (tmp_path / "law.png").read_bytes().startswith(b"\x89PNG")


def test_later_runs_are_drawn_and_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    drawn: list[Any] = []
    monkeypatch.setattr(figures.Figure, "savefig", lambda figure, path, **_: (drawn.append(figure), Path(path).touch()))
    plot_law(FIT, tmp_path / "law.png", factor=2.0, later=([1e7, 2e7], [0.6, 0.61]))
    axes = drawn[0].axes[0]
    curve, later = axes.lines[0], axes.lines[-1]
    np.testing.assert_allclose(later.get_xydata(), [[1e7, 0.6], [2e7, 0.61]])
    np.testing.assert_allclose([curve.get_xdata().min(), curve.get_xdata().max()], [1e2, 2e7])
    assert "later runs" in [t.get_text() for t in axes.get_legend().get_texts()]
    with pytest.raises(ShapeError, match="equal length"):
        plot_law(FIT, tmp_path / "law.png", later=([1e7, 2e7], [0.6]), overwrite=True)
    with pytest.raises(InvalidValueError, match=r"later\[1\]"):
        plot_law(FIT, tmp_path / "law.png", later=([1e7], [-1.0]), overwrite=True)


def test_the_curve_goes_beyond_the_runs() -> None:
    x = beyond(FIT, 10.0)
    np.testing.assert_allclose([x[0], x[-1]], [1e2, 1e6])


def test_what_it_refuses(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(InvalidValueError, match="at least 1"):
        plot_law(FIT, tmp_path / "law.png", factor=0.5)
    size, samples = np.repeat(X[:4], 4), np.tile(X[:4], 4)
    two = fit_power_law(np.stack([size, samples], axis=1), 1 + size**-0.5 + samples**-0.3, samples=20)
    with pytest.raises(InvalidValueError, match="one term"):
        plot_law(two, tmp_path / "law.png")
