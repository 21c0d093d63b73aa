"""Pictures of spectra: the density of the logarithms, and what cannot be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.linalg import Extremes, SpectralDensity, TraceEstimate
from sci.plotting import plot_spectra
from sci.plotting.spectra import log_density
from sci.solvers import Spectrum


def _spectrum(low: float = 0.1) -> Spectrum:
    nodes = np.array([low, 1.0, 20.0])
    density = SpectralDensity(nodes, np.array([0.2, 0.5, 0.3]), 100)
    return Spectrum(density, Extremes(low, 20.0, 0.0, 0.0), TraceEstimate(3.0, 0.1, 0.0, 10, 40))


def test_the_density_of_logarithms_integrates_to_one() -> None:
    x = np.linspace(-3, 4, 2000)
    density = log_density(_spectrum(), x, 0.1)
    assert density.sum() * (x[1] - x[0]) == pytest.approx(1, rel=1e-4)
    assert x[density.argmax()] == pytest.approx(0, abs=0.01)


def test_it_draws_one_panel_for_each(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot_spectra({"A": _spectrum(), "M A": _spectrum(0.5)}, tmp_path / "x.png", title="before and after")
    plot_spectra({"wide": _spectrum(1e-9)}, tmp_path / "w.svg")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "w.svg").read_text()
    assert "<svg" in text


@pytest.mark.parametrize(
    ("spectra", "message"), [({}, "nothing"), ({"A": _spectrum(-1.0)}, "A has eigenvalues from -1")]
)
def test_what_it_refuses(tmp_path: Path, spectra: dict[str, Spectrum], message: str) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(InvalidValueError, match=message):
        plot_spectra(spectra, tmp_path / "y.png")
    assert not (tmp_path / "y.png").exists()
