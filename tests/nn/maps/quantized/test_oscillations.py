"""Oscillating weights: the exact oracle of one weight, and trainings in which weights stand still."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    SGDP,
    Adam,
    AdamW,
    FrozenWeights,
    MappedParameters,
    OscillationTracker,
    StatisticsQuantizer,
    freeze_mask,
    linear,
    mean_squared_error,
    statistics_codes,
    train,
)

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("f", [0.1, 0.25, 0.4, 0.5, 0.73])
@pytest.mark.parametrize("rate", [0.3, 0.05, 0.011])
def test_one_weight_is_at_the_upper_level_for_its_share_of_the_time(f: float, rate: float) -> None:
    """Loss (q(w) - w*)^2 / 2 with w* at f between two levels: duty cycle f, flips 2 min(f, 1 - f), at every rate."""
    w, tracker = 0.013, OscillationTracker(np.array([1]))
    for _ in range(6000):
        w -= rate * ((0.5 if w >= 0 else -0.5) - (f - 0.5))
        tracker.update(np.array([int(w >= 0)]))
    assert abs(float(tracker.mean[0]) - f) < 1e-3
    assert abs(float(tracker.flips[0]) - 2 * min(f, 1 - f)) < 1e-3
    assert tracker.oscillating()[0]


def test_the_tracker_tells_oscillations_from_moves() -> None:
    tracker = OscillationTracker(np.array([0, 0, 3], np.uint8))
    for codes in ([1, 1, 3], [2, 0, 3], [3, 1, 3]):
        tracker.update(np.array(codes, np.uint8))
    np.testing.assert_array_equal(tracker.oscillating(), [False, True, False])
    np.testing.assert_allclose(tracker.flips, [1, 1, 0])
    np.testing.assert_allclose(tracker.mean, [2, 2 / 3, 3])
    assert not tracker.oscillating(0.7).any()
    with pytest.raises(ShapeError, match="codes of shape"):
        tracker.update(np.array([1]))
    with pytest.raises(InvalidValueError, match="whole numbers"):
        OscillationTracker(np.array([0.5]))


@pytest.mark.parametrize("inner", [AdamW(0.05, weight_decay=0.3), Adam(0.05, weight_decay=0.3), SGDP(0.05)])
def test_neither_decay_nor_momentum_moves_frozen_weights(inner: Any) -> None:
    weights = {"w": RNG.normal(size=(6, 7)), "b": np.ones(3)}
    mask = RNG.random((6, 7)) < 0.5
    optimizer = FrozenWeights(inner, {"w": lambda w: mask})
    state, start = optimizer.start(weights), {n: w.copy() for n, w in weights.items()}
    inner.update(weights, {n: np.ones_like(w) for n, w in weights.items()}, state, 1, 1.0)  # momentum everywhere
    begun = weights["w"].copy()
    held = {n: group["w"][mask].copy() for n, group in state.items() if "w" in group}
    for step in range(2, 6):
        optimizer.update(weights, {n: np.ones_like(w) for n, w in weights.items()}, state, step, 1.0)
    np.testing.assert_array_equal(weights["w"][mask], begun[mask])
    assert (weights["w"][~mask] != begun[~mask]).all()
    assert (weights["b"] != start["b"]).all()
    for name, values in held.items():
        np.testing.assert_array_equal(state[name]["w"][mask], values)


def test_no_frozen_weight_flips_in_a_training() -> None:
    w = RNG.normal(size=(8, 10))
    mapped = MappedParameters({"w": w}, {"w": StatisticsQuantizer(w, 2)})
    x = RNG.normal(size=(128, 10))

    def loss(v: Any, batch: Any) -> Any:
        return mean_squared_error(linear(batch[0], mapped.weights(v)["w"]), batch[1])

    counts = {"frozen": 0, "all": 0}

    class Watched(FrozenWeights):
        def update(self, parameters: Any, gradients: Any, state: Any, step: int, factor: float) -> None:
            before, mask = statistics_codes(parameters["w.value"], 2), freeze_mask(parameters["w.value"], 2, 0.05)
            super().update(parameters, gradients, state, step, factor)
            changed = statistics_codes(parameters["w.value"], 2) != before
            counts["frozen"] += int((changed & mask).sum())
            counts["all"] += int(changed.sum())

    options: dict[str, Any] = {"epochs": 20, "batch_size": 32}
    free = train(loss, mapped.start(), (x, x @ w.T), optimizer=Watched(Adam(0.03), {}), **options)
    assert counts["all"] > 0
    counts.update(frozen=0, all=0)
    frozen = Watched(AdamW(2e-3, weight_decay=0.1), {"w.value": lambda a: freeze_mask(a, 2, 0.05)})
    train(loss, free.parameters, (x, x @ w.T), optimizer=frozen, **options)
    assert counts["frozen"] == 0
    assert counts["all"] > 0


def test_refusals() -> None:
    weights = {"w": np.ones((2, 2))}
    with pytest.raises(InvalidValueError, match="v to freeze"):
        FrozenWeights(Adam(0.1), {"v": lambda w: w > 0}).start(weights)
    optimizer = FrozenWeights(Adam(0.1), {"w": lambda w: w[0] > 0})
    with pytest.raises(ShapeError, match="the mask of w is bool"):
        optimizer.update(weights, {"w": np.ones((2, 2))}, optimizer.start(weights), 1, 1.0)
