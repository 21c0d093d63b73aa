"""Pictures of power laws: the runs, the law, and the band of the next run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sci.arguments import Real
from sci.errors import InvalidValueError, ShapeError
from sci.plotting.figures import new_figure, require_matplotlib, save_figure
from sci.scaling import PowerLawFit
from sci.scaling.laws import positive

__all__ = ["beyond", "plot_law"]

POINTS = 120


def beyond(fit: PowerLawFit, factor: float) -> np.ndarray:
    """Return places of x for a curve, from the least x of the runs to `factor` times the largest.

    Parameters
    ----------
    fit : PowerLawFit
        Of one term.
    factor : float

    Returns
    -------
    (m,) array
    """
    x = np.asarray(fit.x)[:, 0]
    return np.geomspace(x.min(), factor * x.max(), POINTS)


def plot_law(
    fit: PowerLawFit,
    path: str | Path,
    *,
    factor: float = 10.0,
    confidence: float = 0.9,
    later: tuple[Real, Real] | None = None,
    x_label: str = "x",
    y_label: str = "loss",
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Draw runs, the fitted law, its limit, and the interval of the next run, on logarithmic axes.

    Parameters
    ----------
    fit : PowerLawFit
        Of one term.
    path : str or Path
        Picture to write; the suffix names the format.
    factor : float
        The curve ends at this many times the largest x of the runs.
    confidence : float
    later : (x, loss) arrays, optional
        Runs that were not fitted, to be held against the interval.
    x_label, y_label : str
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, ShapeError, FileFormatError
    """
    require_matplotlib(path)
    if len(fit.law.exponents) != 1:
        raise InvalidValueError(f"plot_law of {len(fit.law.exponents)} terms; expected a law of one term")
    if not factor >= 1:
        raise InvalidValueError(f"factor is {factor}; expected at least 1")
    figure = new_figure((6.4, 4.2))
    axes = figure.subplots()
    _draw_law(axes, fit, factor, confidence, later)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.legend(frameon=False)
    if title:
        axes.set_title(title)
    save_figure(figure, path, overwrite=overwrite)


def _draw_law(axes: Any, fit: PowerLawFit, factor: float, confidence: float, later: tuple[Real, Real] | None) -> None:
    """Draw runs, law and interval on axes of matplotlib."""
    x, measured = beyond(fit, factor), np.asarray(fit.x)[:, 0]
    if later is not None:
        places, losses = (positive(v, f"later[{k}]") for k, v in enumerate(later))
        if places.ndim != 1 or places.shape != losses.shape or not places.size:
            raise ShapeError(f"later of shapes {places.shape}, {losses.shape}; expected one axis of equal length")
        x = np.geomspace(min(x[0], places.min()), max(x[-1], places.max()), POINTS)
    low, high = fit.interval(x, confidence=confidence)
    axes.fill_between(x, low, high, color="C0", alpha=0.25, lw=0, label=f"next run, {confidence:.0%}")
    axes.plot(x, fit.law(x), color="C0", label=f"law, exponent {fit.law.exponents[0]:.3g}")
    if fit.law.limit > 0.2 * float(np.min(fit.loss)):
        axes.axhline(fit.law.limit, color="C0", lw=1, ls=":", label=f"limit {fit.law.limit:.4g}")
    axes.plot(measured, np.asarray(fit.loss), "o", color="C3", label="runs")
    if later is not None:
        axes.plot(places, losses, "D", color="k", ms=5, label="later runs")
    axes.set(xscale="log", yscale="log")
