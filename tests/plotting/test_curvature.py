"""Pictures of curvature: outliers above the edge, the bulk below; what cannot be drawn is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import CurvatureSpectrum, curvature_spectrum
from sci.plotting import plot_curvature

pytest.importorskip("matplotlib")


def spectrum(values: np.ndarray) -> CurvatureSpectrum:
    return curvature_spectrum(lambda v: values * v, len(values), leading=2, steps=30)


def test_a_picture_of_two_spectra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = []
    monkeypatch.setattr("sci.plotting.curvature.save_figure", lambda figure, *_, **__: figures.append(figure))
    found = spectrum(np.r_[300.0, 80.0, np.linspace(0.1, 2.0, 498)])
    plot_curvature({"all": found, "a batch": found}, tmp_path / "curvature.png", title="both")
    panels = figures[0].axes
    assert [axes.get_title().partition(":")[0] for axes in panels] == ["all", "a batch"]
    edge, outliers = panels[0].lines
    assert edge.get_xdata()[0] == found.bulk_edge()[0]
    np.testing.assert_allclose(outliers.get_xdata(), [300.0, 80.0])
    counts = panels[0].patches[0].get_data().values
    np.testing.assert_allclose(counts.sum(), 498, atol=25)


def test_the_file_is_written_and_bad_input_refused(tmp_path: Path) -> None:
    found = spectrum(np.r_[30.0, 8.0, np.ones(20)])
    plot_curvature({"all": found}, tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 10_000
    with pytest.raises(InvalidValueError, match="no spectrum"):
        plot_curvature({}, tmp_path / "two.png")
    with pytest.raises(InvalidValueError, match="bulk of mean"):
        plot_curvature({"a": spectrum(np.r_[2.0, 1.0, -np.ones(20)])}, tmp_path / "two.png")
    assert not (tmp_path / "two.png").exists()
