"""Mapped parameters: the tape sees through them, training runs as it is, folding gives the same output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    Adam,
    Compander,
    FreeWeight,
    LoLDU,
    MappedParameters,
    ShiftedWeight,
    WeightMap,
    linear,
    mean_squared_error,
    tanh,
    train,
    value_and_gradients,
)

RNG = np.random.default_rng(2)
MODEL = {
    "a": RNG.normal(size=(6, 5)),
    "bias": RNG.normal(size=6),
    "b": RNG.uniform(-1, 1, (6, 6)),
    "c": RNG.normal(size=(6, 6)),
    "head": RNG.normal(size=(2, 6)),
}
X, Y = RNG.normal(size=(40, 5)), RNG.normal(size=(40, 2))


def make() -> MappedParameters:
    maps: dict[str, WeightMap] = {
        "a": LoLDU(MODEL["a"], 3),
        "b": Compander(MODEL["b"]),
        "c": ShiftedWeight(MODEL["c"], RNG.normal(size=(6, 6))),
        "head": FreeWeight(MODEL["head"]),
    }
    return MappedParameters(MODEL, maps)


def output(w: Any, x: Any) -> Any:
    hidden = tanh(linear(x, w["a"]) + w["bias"])
    return linear(tanh(linear(tanh(linear(hidden, w["b"])), w["c"])), w["head"])


def test_the_start_is_the_model() -> None:
    mapped = make()
    weights = mapped.fold(mapped.start())
    assert list(weights) == list(MODEL)
    np.testing.assert_allclose(output(weights, X), output(MODEL, X), atol=1e-12)
    assert weights["bias"] is MODEL["bias"]
    assert mapped.n_trained == 4 + 38 + 1 + 12
    assert mapped.nbytes == sum(m.nbytes for m in mapped.maps.values()) > 0


def test_gradients_of_the_whole_loss() -> None:
    mapped = make()
    start = {name: a + 0.05 for name, a in mapped.start().items()}

    def loss(v: Any) -> Any:
        return mean_squared_error(output(mapped.weights(v), X), Y)

    value, gradients = value_and_gradients(loss, start)
    assert float(value) == pytest.approx(float(loss(start)), rel=1e-14)
    for name, gradient in gradients.items():
        direction = RNG.normal(size=gradient.shape)
        up, down = (float(loss({**start, name: start[name] + s * 1e-6 * direction})) for s in (1, -1))
        assert float((gradient * direction).sum()) == pytest.approx((up - down) / 2e-6, rel=1e-6), name


def test_training_runs_as_it_is_and_the_folded_model_is_the_unfolded_one() -> None:
    mapped, before = make(), {name: p.copy() for name, p in MODEL.items()}

    def loss(v: Any, batch: Any) -> Any:
        return mean_squared_error(output(mapped.weights(v), batch[0]), batch[1])

    done = train(loss, mapped.start(), (X, Y), optimizer=Adam(1e-2), epochs=10, batch_size=8)
    assert done.losses[-5:].mean() < 0.9 * done.losses[:5].mean()
    np.testing.assert_array_equal(output(mapped.weights(done.parameters), X), output(mapped.fold(done.parameters), X))
    for name, p in MODEL.items():
        np.testing.assert_array_equal(p, before[name])


def test_refusals() -> None:
    with pytest.raises(InvalidValueError, match="maps of z; expected"):
        MappedParameters(MODEL, {"z": FreeWeight(MODEL["a"])})
    with pytest.raises(InvalidValueError, match="no maps"):
        MappedParameters(MODEL, {})
    with pytest.raises(InvalidValueError, match="the map of a starts at another weight"):
        MappedParameters(MODEL, {"a": LoLDU(MODEL["a"] + 0.01, 2)})
    with pytest.raises(InvalidValueError, match="the map of a starts at another weight"):
        MappedParameters(MODEL, {"a": LoLDU(MODEL["b"], 2)})
    mapped = make()
    with pytest.raises(InvalidValueError, match=r"for a\.z"):
        mapped.weights({name: a for name, a in mapped.start().items() if name != "a.z"})
    with pytest.raises(ShapeError, match="the array z"):
        mapped.fold({**mapped.start(), "a.z": np.ones(2)})
