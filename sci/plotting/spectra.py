"""Pictures of spectra: the share of the eigenvalues up to each value, their density, and their ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.plotting.figures import new_figure, require_matplotlib, save_figure
from sci.solvers import Spectrum

__all__ = ["log_density", "plot_spectra"]

POINTS = 1200
WIDTH = 0.02
"""Standard deviation of the Gaussians of a density, of the range of log10 of its eigenvalues."""
LEAST = 0.2
"""Part of the range that is drawn below which that of a density does not count."""


def log_density(spectrum: Spectrum, x: np.ndarray, width: float) -> np.ndarray:
    """Return the density of log10 of the eigenvalues at x, each node widened to a Gaussian of this width.

    Parameters
    ----------
    spectrum : Spectrum
    x : (m,) array
        log10 of eigenvalues.
    width : float

    Returns
    -------
    (m,) array
        It integrates to 1.
    """
    z = (x[:, None] - np.log10(spectrum.density.nodes)) / width
    return np.asarray(np.exp(-0.5 * z * z) @ spectrum.density.weights / (width * np.sqrt(2 * np.pi)))


def plot_spectra(
    spectra: Mapping[str, Spectrum], path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> None:
    """Draw the density of the logarithms of the eigenvalues of one matrix or several, above each other.

    Every panel has a density of its own height, marks at the smallest and the largest eigenvalue, and their ratio.

    Parameters
    ----------
    spectra : dict of Spectrum
        By the names that the picture gives them.
    path : str or Path
        Picture to write; the suffix names the format.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
    """
    require_matplotlib(path)
    if not spectra:
        raise InvalidValueError("plot_spectra of nothing; expected a Spectrum for each name")
    for name, spectrum in spectra.items():
        if not (spectrum.extremes.smallest > 0 and spectrum.density.nodes[0] > 0):
            raise InvalidValueError(
                f"plot_spectra: {name} has eigenvalues from {spectrum.density.nodes[0]:.3g}; expected "
                "positive ones, whose logarithms are drawn"
            )
    low, high = _range(spectra)
    x = np.linspace(low, high, POINTS)
    figure = new_figure((6.4, 0.9 + 1.35 * len(spectra)))
    panels = figure.subplots(len(spectra), 1, sharex=True, squeeze=False)[:, 0]
    for k, (axes, (name, spectrum)) in enumerate(zip(panels, spectra.items())):
        _draw(axes, x, name, spectrum, f"C{k}")
    panels[-1].set_xlabel("eigenvalue")
    if title:
        figure.suptitle(title)
    save_figure(figure, path, overwrite=overwrite)


def _range(spectra: Mapping[str, Spectrum]) -> tuple[float, float]:
    """Return the range of log10 that holds all ends, and a margin."""
    low = min(np.log10(s.extremes.smallest) for s in spectra.values())
    high = max(np.log10(s.extremes.largest) for s in spectra.values())
    margin = 0.12 * max(high - low, 0.5)
    return float(low - margin), float(high + margin)


def _draw(axes: Any, x: np.ndarray, name: str, spectrum: Spectrum, color: str) -> None:
    ends = np.log10([spectrum.extremes.smallest, spectrum.extremes.largest])
    # No eigenvalue lies beyond the ends, where the Gaussians would go on.
    width = WIDTH * max(ends[1] - ends[0], LEAST * (x[-1] - x[0]))
    density = log_density(spectrum, x, width) * ((x >= ends[0]) & (x <= ends[1]))
    axes.fill_between(10**x, density, color=color, alpha=0.35, lw=0)
    axes.plot(10**x, density, color=color, lw=1.2)
    for end in ends:
        axes.axvline(10**end, color=color, lw=1, ls=":")
    axes.set(xscale="log", xlim=(10 ** x[0], 10 ** x[-1]), ylim=(0, 1.08 * density.max()), yticks=[])
    axes.set_title(f"{name}: condition {spectrum.condition:.4g}", loc="left", fontsize=9)
    decades = x[-1] - x[0]
    axes.set_xticks(*_ticks(x[0], x[-1], range(1, 10) if decades < 0.7 else (1, 2, 5) if decades < 3 else (1,)))
    axes.minorticks_off()
    for side in ("left", "top", "right"):
        axes.spines[side].set_visible(False)


def _ticks(low: float, high: float, steps: Sequence[int]) -> tuple[list[float], list[str]]:
    """Return the marks between two powers of ten, and their texts."""
    marks = [step * 10.0**k for k in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    marks = [mark for mark in marks if 10**low <= mark <= 10**high]
    return marks, [f"{mark:g}" for mark in marks]
