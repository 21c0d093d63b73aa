"""Charts of spectra: the share of the eigenvalues up to a value, their density, the ends and the log-determinant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sci.plotting.pages.charts import lines
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of
from sci.plotting.spectra import WIDTH, log_density

__all__: list[str] = []

POINTS = 300


@figures_of("spectrum")
def _spectrum(contents: Contents) -> Iterator[Panel]:
    found = contents.object
    ends, estimate = found.extremes, found.log_determinant
    null = f"; {number(found.null_size)} zeros are left out" if found.null_size else ""
    of = "A" if found.preconditioner == "none" else f"M A, M {found.preconditioner}"
    yield Table(
        "Spectrum",
        [
            ("matrix", of),
            ("eigenvalues", f"{number(found.density.size)}{null}"),
            ("smallest", f"{ends.smallest:.8g} +- {ends.smallest_error:.1g}"),
            ("largest", f"{ends.largest:.8g} +- {ends.largest_error:.1g}"),
            ("condition", f"{ends.condition:.6g}, at most {ends.condition_error:.1g} more"),
            ("log-determinant", f"{estimate.value:.8g} +- {estimate.standard_error:.2g}"),
            ("truncation", f"{estimate.truncation:.1g} of the log-determinant"),
            ("probes", f"{estimate.probes} of {estimate.steps} steps"),
        ],
    )
    low, high = (float(np.log10(max(v, 1e-300))) for v in (ends.smallest, ends.largest))
    margin = 0.1 * max(high - low, 0.5)
    x = np.linspace(low - margin, high + margin, POINTS)
    axis = (10**x, "eigenvalue")
    density = log_density(found, x, WIDTH * (x[-1] - x[0]))
    yield lines("Density of the eigenvalues", axis, {"density": density}, "part per decade", log_x=True)
    share = found.density.below(10**x)
    yield lines("Part of the eigenvalues up to a value", axis, {"part": share}, "part of all", log_x=True)
