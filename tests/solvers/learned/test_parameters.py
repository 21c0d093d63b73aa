"""What the learned cycle learns: bounds, gradients, checks."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.solvers.learned.parameters import (
    KINDS,
    LARGEST,
    check_parameters,
    consistent_gain,
    gain_vjp,
    initial_parameters,
    modulations,
    weights,
    weights_vjp,
)


def _parameters(seed: int, scale: float):
    rng = np.random.default_rng(seed)
    return {name: np.array(v + scale * rng.normal(size=v.shape)) for name, v in initial_parameters().items()}


def test_steps_contract_for_any_parameters():
    t = np.linspace(1e-3, LARGEST, 400)
    for seed in range(20):
        parameters = _parameters(seed, 4.0)
        for kind in range(KINDS):
            polynomial = np.prod([1 - w * t for w in weights(parameters, kind)], axis=0)
            assert np.abs(polynomial).max() < 1


def test_gradients_of_the_weights():
    parameters = _parameters(1, 0.5)
    dweights = np.array([0.3, -1.1, 0.7, 0.2])
    found = weights_vjp(dweights, parameters, 1)
    for name, gradient in zip(("center", "spread"), found):
        for k in range(2):
            values = []
            for h in (1e-6, -1e-6):
                moved = {**parameters, f"level1.{name}": parameters[f"level1.{name}"] + h * np.eye(2)[k]}
                values.append(dweights @ np.array(weights(moved, 1)))
            assert gradient[k] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6)


def test_the_consistent_gain():
    """A smooth field keeps its size in the open; the gradients are those of the network through the gain."""
    parameters = _parameters(4, 0.5)
    parameters["level2.gain"] = consistent_gain(parameters, 2)
    share = modulations(parameters, 2, np.array([[1.0, 0, 1, 1, 0, 1]]))[0][0, 1]
    assert np.exp(parameters["level2.gain"]) * share**2 == pytest.approx(1, rel=1e-14)
    gradients = {name: np.zeros_like(value) for name, value in parameters.items()}
    gradients["level2.gain"] = np.array(1.0)
    gain_vjp(gradients, parameters, 2)
    assert gradients["level2.gain"] == 0
    for name in ("level2.w1", "level2.b2"):
        direction = np.random.default_rng(3).normal(size=parameters[name].shape)
        moved = ({**parameters, name: parameters[name] + h * direction} for h in (1e-6, -1e-6))
        ahead, behind = (consistent_gain(at, 2) for at in moved)
        assert np.vdot(gradients[name], direction) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_parameters_are_checked():
    good = initial_parameters()
    assert set(check_parameters(good)) == set(good)
    with pytest.raises(InvalidValueError, match="missing or unknown"):
        check_parameters({name: v for name, v in good.items() if name != "level0.tap"})
    with pytest.raises(ShapeError, match=r"level0\.b1"):
        check_parameters({**good, "level0.b1": np.zeros(3)})
    with pytest.raises(InvalidValueError, match="NaN"):
        check_parameters({**good, "level0.tap": np.array(np.nan)})
