"""Charts of completed fields: what they consist of, how the fit went, and the field along its axes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sci.plotting.completion import curve_of, map_of
from sci.plotting.pages.charts import bars, image, lines
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of

__all__: list[str] = []

_MOST_PLACES = 40
"""Places of an axis whose noise is drawn."""


@figures_of("functional_cp")
def _functional_cp(contents: Contents) -> Iterator[Panel]:
    yield from _field(contents, ("components", str(contents.object.components)))


@figures_of("functional_tucker")
def _functional_tucker(contents: Contents) -> Iterator[Panel]:
    ranks = " x ".join(map(str, contents.object.tucker_ranks))
    yield from _field(contents, ("core", f"{ranks} functions of the axes"))


def _field(contents: Contents, parts: tuple[str, str]) -> Iterator[Panel]:
    model = contents.object
    rows = [
        ("axes", ", ".join(f"{axis.name} ({len(axis)} places)" for axis in model.axes)),
        parts,
        ("restarts", number(len(model.noise))),
        ("sweeps", number(len(model.history))),
        ("noise", f"{model.noise_deviation:.4g} standard deviation"),
        ("entries left out", f"{model.left_out_rms:.4g} root mean square of their residuals"),
        ("bounds of the evidence", f"{model.bounds.min():.6g} to {model.bounds.max():.6g}"),
    ]
    yield Table("Completed field", rows)
    sweeps = np.arange(1, len(model.history) + 1)
    if len(sweeps) > 1:
        curves = {f"restart {b}": model.history[:, b] for b in range(len(model.noise))}
        yield lines("Bound of the evidence", (sweeps, "sweep"), curves, "bound")
    ordered = [axis for axis in model.axes if axis.is_ordered]
    if len(ordered) > 1:
        x, y, mean, deviation = map_of(model, ordered[0], ordered[1], 60)
        names = [axis.name for axis in ordered[:2]]
        note = "Other axes stand at their middle places."
        yield image("Mean", mean, (x, names[0]), (y, names[1]), "mean", note=note)
        yield image("Standard deviation", deviation, (x, names[0]), (y, names[1]), "deviation", note=note)
    for axis in ordered:
        x, mean, low, high = curve_of(model, axis, 0.9)
        curves = {"mean": mean, "5 %": low, "95 %": high}
        yield lines(f"Along {axis.name}, with the interval of an observation", (x, axis.name), curves, "value")
    for axis, weights in zip(model.axes, model.noise_weights):
        order = np.argsort(weights, kind="stable")[:_MOST_PLACES]
        noisiest = [f"{axis.places[k]:.5g}" if axis.is_ordered else str(axis.places[k]) for k in order]
        yield bars(f"Noisiest places of {axis.name}", noisiest, weights[order] ** -0.5, "relative noise")
