"""Charts of power laws: parameters with their intervals, the runs, and the band of the next run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sci.plotting.pages.charts import lines
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Panel, Table
from sci.plotting.pages.registry import figures_of
from sci.plotting.scaling import beyond

__all__: list[str] = []

BEYOND = 10.0
"""How far the curve goes on, over the largest x of the runs."""


@figures_of("power_law")
def _power_law(contents: Contents) -> Iterator[Panel]:
    fit = contents.object
    ends = fit.parameter_intervals()
    rows = [("runs", f"{len(fit.loss)}"), ("limit", _between(fit.law.limit, ends["limit"]))]
    for k, (amplitude, exponent, reference) in enumerate(
        zip(fit.law.amplitudes, fit.law.exponents, fit.law.references)
    ):
        of = fit.names[k]
        rows.append((f"exponent of {of}", _between(exponent, ends["exponents"][:, k])))
        rows.append((f"amplitude at {of} = {reference:.4g}", _between(amplitude, ends["amplitudes"][:, k])))
    rows.append(("deviation of a run", f"{float(np.median(fit.noise)):.2%} of its loss"))
    yield Table("Power law, with intervals of 90 %", rows)
    measured = np.asarray(fit.x)[:, 0]
    if len(fit.law.exponents) > 1:
        predicted = np.asarray(fit.law(*np.asarray(fit.x).T))
        pair = {"runs": (predicted, fit.loss), "equal": (np.sort(predicted), np.sort(predicted))}
        yield lines("Losses of the runs and of the law", (predicted, "law"), pair, "runs", marks=True)
        return
    x = beyond(fit, BEYOND)
    low, high = fit.interval(x)
    curves = {"runs": (measured, fit.loss), "law": (x, fit.law(x)), "5 %": (x, low), "95 %": (x, high)}
    yield lines("Law and next run", (x, fit.names[0]), curves, "loss", log=True, log_x=True)


def _between(value: float, ends: np.ndarray) -> str:
    return f"{value:.6g}, from {ends[0]:.4g} to {ends[1]:.4g}"
