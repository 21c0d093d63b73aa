"""Tables and charts of models and trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from samples import make_objects

from sci.io import save
from sci.nn import Checkpoint
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.kinds.models import epoch_steps
from sci.plotting.pages.registry import panels_of
from sci.sequence import TransNormer, attention_cost

LOSSES = np.geomspace(1.0, 0.1, 7)


def _panels(path: Path) -> dict[str, Table | Chart]:
    return {panel.title: panel for panel in panels_of(Contents(path))}


def test_the_curves_of_a_training(tmp_path: Path) -> None:
    settings = {"n_samples": 25, "batch_size": 10, "model": {"layers": 2}}
    save(tmp_path / "a.h5", Checkpoint(7, {"w": np.ones(2)}, {}, LOSSES, {"test": np.array([0.5, 0.2])}, settings))
    found = _panels(tmp_path / "a.h5")
    curve, table = found["Training"], found["Parameters"]
    assert isinstance(curve, Chart)
    steps, means, metric = curve.figure.data
    np.testing.assert_allclose(steps.x, np.arange(1, 8) / 3)
    np.testing.assert_array_equal(steps.y, LOSSES)
    np.testing.assert_allclose(means.y, [LOSSES[:3].mean(), LOSSES[3:6].mean()])
    assert (metric.name, list(metric.x)) == ("test", [1, 2])
    assert curve.figure.layout.yaxis.type == "log"
    assert isinstance(table, Table)
    assert table.rows[0] == ("numbers", "2")


@pytest.mark.parametrize(
    ("settings", "metrics", "steps"),
    [
        ({"n_samples": 25, "batch_size": 10}, {}, 3),
        ({}, {"a": np.ones(2)}, 3),
        ({}, {}, 1),
    ],
)
def test_the_steps_of_an_epoch(settings: dict, metrics: dict, steps: int) -> None:
    assert epoch_steps(Checkpoint(7, {}, {}, LOSSES, metrics, settings)) == steps


def test_a_training_that_has_not_begun(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", Checkpoint(0, {"w": np.ones(2)}, {}, np.zeros(0)))
    assert "Parameters" in _panels(tmp_path / "a.h5")


@pytest.mark.parametrize(
    "name", ["fno", "tfno", "trained_operator", "learned_multigrid", "model", "equino", "spd_network"]
)
def test_every_parameter_is_listed(tmp_path: Path, name: str) -> None:
    model = make_objects()[name]
    save(tmp_path / "a.h5", model)
    found = _panels(tmp_path / "a.h5")
    arrays = found["Every array"]
    assert isinstance(arrays, Table)
    owner = {"trained_operator": lambda: model.model, "spd_network": lambda: model.to_state()}.get(
        name, lambda: model
    )()
    assert {row[0]: row[3] for row in arrays.rows} == {n: f"{p.size:,}" for n, p in owner.parameters.items()}
    layers = found["Parameters by layer"]
    assert isinstance(layers, Chart)
    assert sum(layers.figure.data[0].x) == sum(p.size for p in owner.parameters.values())


def test_every_delta_and_every_change_is_listed(tmp_path: Path) -> None:
    deltas = make_objects()["weight_deltas"]
    save(tmp_path / "a.h5", deltas)
    found = _panels(tmp_path / "a.h5")
    listed, changes = found["Every delta"], found["Every weight that changes"]
    assert isinstance(listed, Table)
    assert isinstance(changes, Table)
    assert [row[:2] for row in listed.rows] == [(n, str(d.n_numbers)) for n, d in deltas.deltas.items()]
    assert ("low viscosity", "w", "loldu") in {row[:3] for row in changes.rows}
    assert len(changes.rows) == 4


def test_the_cost_of_attention(tmp_path: Path) -> None:
    model = TransNormer.create(width=16, heads=2, layers=3, hidden=32)
    save(tmp_path / "a.h5", model)
    found = _panels(tmp_path / "a.h5")
    chart = found["Cost of a forward pass"]
    assert isinstance(chart, Chart)
    linear, softmax = chart.figure.data
    np.testing.assert_allclose(np.diff(np.log2(linear.y)), 1.0)
    cost = attention_cost(256, 2, 8, causal=True).flops
    np.testing.assert_allclose(softmax.y[0], 3 * cost / 1e9)
    table = found["Softmax attention of one layer, 16,384 tokens, float32"]
    assert isinstance(table, Table)
    assert [row[:2] for row in table.rows[:2]] == [("1", "one process"), ("4", "ring")]
