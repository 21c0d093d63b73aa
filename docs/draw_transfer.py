"""Draw the page on forecasts from the table of its runs: `python docs/draw_transfer.py PICTURE.png`.

`transfer.csv` has the runs: `sci operator sweep` on 1,000 samples of Darcy flow with the options that the page names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sci.io import read_table
from sci.scaling import PowerLawFit, fit_power_law

TABLE = Path(__file__).with_name("transfer.csv")
RATE = 0.0442
"""What the sweep at width 8 chose."""


def runs(**chosen: float) -> dict[str, np.ndarray]:
    """Return the runs whose columns have these values."""
    table = read_table(TABLE)
    keep = np.all([table[name] == value for name, value in chosen.items()], axis=0)
    return {name: values[keep] for name, values in table.items()}


def law() -> PowerLawFit:
    """Return the law through the runs of width 4 to 22."""
    found = runs(modes=8, mup=1, learning_rate=RATE)
    small = found["hidden"] < 30
    return fit_power_law(found["hidden"][small], found["error"][small], names=["hidden"])


def draw_rates(axes: Any) -> None:
    """Draw the error against the rate: width 8, and width 32 in both parametrizations."""
    cases = (
        ("width 8, 4 x 4 modes", {"hidden": 8, "modes": 4, "mup": 1}, "C0", "o-"),
        ("width 32, maximal update", {"hidden": 32, "modes": 8, "mup": 1}, "C2", "s-"),
        ("width 32, standard", {"hidden": 32, "modes": 8, "mup": 0}, "C3", "^--"),
    )
    for label, chosen, color, style in cases:
        found = runs(**chosen)
        rates = np.unique(found["learning_rate"])
        means = [found["error"][found["learning_rate"] == rate].mean() for rate in rates]
        axes.plot(rates, means, style, color=color, ms=4, label=label)
    axes.axvline(RATE, color="0.6", lw=1, ls=":")
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="relative error on the test")
    axes.set_yticks([0.1, 0.15, 0.2, 0.3], ["0.1", "0.15", "0.2", "0.3"])
    axes.minorticks_off()
    axes.legend(frameon=False)


def draw_forecast(axes: Any) -> None:
    """Draw the runs of width 4 to 22, their law with the interval of the next run, and the wide runs."""
    fit, wide, x = law(), runs(modes=8, mup=1, learning_rate=RATE), np.geomspace(4, 68, 100)
    beyond = wide["hidden"] > 30
    low, high = fit.interval(x)
    axes.fill_between(x, low, high, color="C0", alpha=0.25, lw=0, label="next run, 90 %")
    axes.plot(x, fit.law(x), color="C0", label=f"law, exponent {fit.law.exponents[0]:.2g}")
    axes.plot(fit.x[:, 0], fit.loss, "o", color="C3", label="runs that were fitted")
    axes.plot(wide["hidden"][beyond], wide["error"][beyond], "D", color="k", ms=5, label="wide runs")
    axes.set(xscale="log", yscale="log", xlabel="width", ylabel="relative error on the test")
    axes.set_xticks([4, 8, 16, 32, 64], ["4", "8", "16", "32", "64"])
    axes.set_yticks([0.08, 0.1, 0.15, 0.2], ["0.08", "0.1", "0.15", "0.2"])
    axes.minorticks_off()
    axes.legend(frameon=False)


if __name__ == "__main__":
    figure = Figure(figsize=(6.4, 7.6), layout="constrained")  # one below the other, for narrow screens
    upper, lower = figure.subplots(2, 1)
    draw_rates(upper)
    draw_forecast(lower)
    figure.savefig(Path(sys.argv[1]), dpi=130, bbox_inches="tight")
