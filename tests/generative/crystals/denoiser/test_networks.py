"""Networks that denoise: shapes, slots and derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.generative import CrystalFeatures, ionic_crystals
from sci.generative.crystals.denoiser.networks import TIMES, Perceptron, TableUNet, time_features
from sci.nn import multiply, value_and_gradients
from sci.nn import sum as sum_of

FEATURES = CrystalFeatures.fit(ionic_crystals())
RNG = np.random.default_rng(0)


def networks(conditional: bool = True) -> list[Any]:
    return [Perceptron(FEATURES, 8, 2, conditional), TableUNet(FEATURES, (4, 4), 1, conditional)]


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("which", [0, 1])
def test_gradients_are_those_of_differences(which: int, conditional: bool) -> None:
    network = networks(conditional)[which]
    parameters = {n: p + 0.1 * RNG.normal(size=p.shape) for n, p in network.initial(0, np.float64).items()}
    x, occupied = RNG.normal(size=(2, FEATURES.width)), (RNG.uniform(size=(2, FEATURES.slots)) < 0.5).astype(float)
    times, weights = time_features(np.array([3, 90]), 100), RNG.normal(size=(2, FEATURES.width))

    def loss(variables: Any) -> Any:
        return sum_of(multiply(network(variables, x, times, occupied), weights))

    _, gradients = value_and_gradients(loss, parameters)
    for name in list(parameters)[:: max(1, len(parameters) // 6)]:
        direction, h = RNG.normal(size=parameters[name].shape), 1e-6
        ends = [float(loss({**parameters, name: parameters[name] + s * h * direction})) for s in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * h)
        assert np.vdot(gradients[name], direction) == pytest.approx(slope, rel=2e-5, abs=1e-7), name


@pytest.mark.parametrize("which", [0, 1])
def test_it_sees_time_and_slots_and_begins_at_zero(which: int) -> None:
    network = networks()[which]
    x, times = RNG.normal(size=(2, FEATURES.width)).astype("f4"), time_features(np.array([3, 90]), 100).astype("f4")
    occupied = np.ones((2, FEATURES.slots), "f4")
    start = network.initial(0, np.float32)
    assert not network(start, x, times, occupied).any()
    parameters = {n: p + 0.1 * RNG.normal(size=p.shape).astype("f4") for n, p in start.items()}
    out = network(parameters, x, times, occupied)
    assert out.shape == x.shape
    assert out.dtype == np.float32
    for other in (network(parameters, x, times[::-1].copy(), occupied), network(parameters, x, times, 0 * occupied)):
        assert np.abs(other - out).max() > 1e-3


def test_slots_and_cell_lie_where_the_table_has_them() -> None:
    """Values that go through the U-Net's grid unchanged come back at their slots."""
    network = TableUNet(FEATURES, (4, 4), 1, True)
    assert network.grid == (8, 12, 20)
    assert len(set(network.places.tolist())) == FEATURES.slots
    slot, row, column = np.unravel_index(network.places, network.grid)
    assert row.max() < 9
    assert column.max() < 18
    np.testing.assert_array_equal(slot, FEATURES.levels)
    x = RNG.normal(size=(3, FEATURES.width))
    seen = {}

    class Identity:
        def forward(self, parameters: Any, fields: np.ndarray, embedding: Any) -> tuple[np.ndarray]:
            seen["fields"] = fields
            return (fields[:, :-1],)

    network.network = Identity()  # type: ignore[assignment]
    np.testing.assert_allclose(network({}, x, np.zeros((3, TIMES)), np.ones((3, FEATURES.slots))), x, rtol=1e-12)
    assert seen["fields"][:, -1].sum() == 3 * FEATURES.slots


def test_times_are_told_apart() -> None:
    times = time_features(np.arange(1, 201), 200)
    gaps = np.abs(times[1:] - times[:-1]).max(axis=1)
    assert gaps.min() > 0.05
