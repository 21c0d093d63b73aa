"""Charts of clusters and selections of points: sizes, distances, and a map where the file has one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sci.backend import to_host
from sci.plotting.pages.charts import bars, histogram, lines, plane_of_points
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of

__all__: list[str] = []

SIZES = 60
"""Clusters whose sizes are drawn."""
MAP = "principal"
"""Name of the result that holds the place of each point on two principal axes."""


@figures_of("clusters")
def _clusters(contents: Contents) -> Iterator[Panel]:
    found = contents.object
    labels, distances = to_host(found.labels), np.sqrt(to_host(found.squared))
    counts = np.bincount(labels, minlength=len(found.centers))
    rows = [
        ("points", number(len(labels))),
        ("clusters", number(len(counts))),
        ("dimension", number(found.centers.shape[1])),
        ("points of a cluster", f"{counts.min():,} to {counts.max():,}, {np.median(counts):g} in the middle"),
        (
            "distance to the center",
            f"{np.sqrt(np.mean(distances**2)):.6g} root mean square, {distances.max():.6g} at most",
        ),
        ("inertia", number(found.inertia)),
        ("iterations", f"{found.iterations}, {'converged' if found.converged else 'not converged'}"),
    ]
    yield Table("Clusters", rows)
    order = np.argsort(-counts, kind="stable")[:SIZES]
    title = "Sizes of the clusters" + (f", the {SIZES} largest" if len(counts) > SIZES else "")
    yield bars(title, [f"cluster {k}" for k in order], counts[order], "points")
    if len(distances) > 1:
        yield histogram("Distances to the centers", distances, "distance to the center", "points")
        yield lines(
            "Cluster of each point", (np.arange(len(labels)), "point"), {"cluster": labels}, "cluster", marks=True
        )
    if MAP in contents.results:
        yield plane_of_points("Points on two principal axes", contents.results[MAP], {"points": labels})


@figures_of("selection")
def _selection(contents: Contents) -> Iterator[Panel]:
    found = contents.object
    n, m = len(found.scores), len(found.indices)
    rows = [
        ("points", number(n)),
        ("chosen", f"{m:,}, {100 * m / n:.3g} %"),
        ("mode", f"{found.mode}: the {'largest' if found.mode == 'hard' else 'smallest'} scores"),
        ("scores", f"{found.scores.min():.6g} to {found.scores.max():.6g}"),
        ("scores of the chosen", f"{'from' if found.mode == 'hard' else 'to'} {found.threshold:.6g}"),
    ]
    yield Table("Selection", rows)
    if n > 1:
        yield histogram("Scores of all points", found.scores, "distance to the nearest center", "points")
        curves = {"all": (np.arange(n), found.scores), "chosen": (found.indices, found.scores[found.indices])}
        yield lines("Scores in the order of the points", (np.arange(n), "point"), curves, "score", marks=True)
    if MAP in contents.results:
        chosen = np.zeros(n, np.int64)
        chosen[found.indices] = 1
        yield plane_of_points("Points on two principal axes", contents.results[MAP], {"chosen": chosen})
