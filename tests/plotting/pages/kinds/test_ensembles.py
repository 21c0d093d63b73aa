"""Charts of clusters and selections show what the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.ensembles import k_means, prototype_scores, select
from sci.io import save
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.kinds.ensembles import MAP
from sci.plotting.pages.registry import panels_of

pytest.importorskip("plotly")
X = np.random.default_rng(0).normal(size=(300, 4)) + 9 * (np.arange(300) % 3)[:, None]
FOUND = k_means(X, 3)


def panels(path: Path) -> dict[str, Chart | Table]:
    return {panel.title: panel for panel in panels_of(Contents(path))}


def test_clusters(tmp_path):
    save(tmp_path / "a.h5", FOUND, results={MAP: X[:, :2]})
    found = panels(tmp_path / "a.h5")
    assert sorted(found["Sizes of the clusters"].figure.data[0].x) == [100, 100, 100]
    assert ("points of a cluster", "100 to 100, 100 in the middle") in found["Clusters"].rows
    assert sum(found["Distances to the centers"].figure.data[0].y) == 300
    np.testing.assert_array_equal(found["Points on two principal axes"].figure.data[0].marker.color, FOUND.labels)


def test_a_selection(tmp_path):
    chosen = select(prototype_scores(X, FOUND.centers), 0.1)
    save(tmp_path / "a.h5", chosen, results={MAP: X[:, :2]})
    found = panels(tmp_path / "a.h5")
    assert ("chosen", "30, 10 %") in found["Selection"].rows
    curves = {trace.name: trace for trace in found["Scores in the order of the points"].figure.data}
    np.testing.assert_array_equal(curves["chosen"].x, chosen.indices)
    assert found["Points on two principal axes"].figure.data[0].marker.color.sum() == 30
    save(tmp_path / "b.h5", chosen)
    assert "Points on two principal axes" not in panels(tmp_path / "b.h5")
