"""Pictures of the spectra of curvature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.nn import CurvatureSpectrum
from sci.plotting.figures import new_figure, require_matplotlib, save_figure

__all__ = ["plot_curvature"]

_DECADES = 5
"""Of eigenvalues that are drawn, below the largest."""


def plot_curvature(
    spectra: Mapping[str, CurvatureSpectrum], path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> None:
    """Draw the eigenvalues of curvature matrices, one panel each, with the edge of the bulk and the outliers marked.

    Parameters
    ----------
    spectra : dict of CurvatureSpectrum
        By the title of the panel. Matrices without negative eigenvalues.
    path : str or Path
        Picture to write; the suffix names the format.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for no spectrum, and for one whose bulk has no positive mean.
    """
    require_matplotlib(path)
    if not spectra:
        raise InvalidValueError("plot_curvature of no spectrum; expected one or more, by name")
    edges = {name: found.bulk_edge() for name, found in spectra.items()}
    top = max(float(found.leading[0]) for found in spectra.values())
    bins = np.geomspace(top * 10.0**-_DECADES, 2 * top, 6 * _DECADES + 1)
    figure = new_figure((6.4, 1.2 + 1.9 * len(spectra)))
    panels = figure.subplots(len(spectra), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, (name, found) in zip(panels, spectra.items()):
        _draw(axes, found, bins, edges[name], name)
    panels[0].legend(frameon=False, fontsize=8, loc="upper right")
    panels[-1].set_xlabel("eigenvalue")
    if title:
        figure.suptitle(title)
    save_figure(figure, path, overwrite=overwrite)


def _draw(axes: Any, found: CurvatureSpectrum, bins: np.ndarray, edge: tuple[float, float], name: str) -> None:
    """Draw the number of eigenvalues in each bin, and marks."""
    outliers = found.leading[found.leading > edge[0]]
    weights = found.density.weights * found.density.size
    bulk = found.density.nodes <= edge[0]
    counts = np.histogram(found.density.nodes[bulk], bins, weights=weights[bulk])[0]
    axes.stairs(counts, bins, fill=True, color="0.75", label="density, eigenvalues per bin")
    axes.axvline(edge[0], color="tab:blue", lw=1.5, label="edge of the bulk")
    axes.plot(outliers, np.ones(len(outliers)), "v", color="tab:red", ms=6, label="outliers")
    lost = found.density.size - counts.sum() - len(outliers)
    axes.set(xscale="log", yscale="log", ylim=(0.5, None), ylabel="count")
    axes.set_title(
        f"{name}: largest {found.leading[0]:.4g}, edge {edge[0]:.3g}, {max(lost, 0):,.0f} of "
        f"{found.density.size:,} below {bins[0]:.0e}",
        fontsize=9,
    )
    axes.grid(alpha=0.3)
