"""Gradients for an input that are differentiated once more: forces of a network, and their loss."""

from __future__ import annotations

import numpy as np
import pytest

import sci.nn as P
from sci.errors import InvalidValueError
from sci.nn import input_gradient, value_and_gradients

RNG = np.random.default_rng(31)
NETWORK = {"layers": [{"w": RNG.normal(size=(5, 3)), "b": RNG.normal(size=5)}, {"w": RNG.normal(size=(1, 5))}]}
X, FORCES = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))


def energy(v, x):
    """A network of distances and positions, so that x enters twice."""
    h = P.gelu(P.linear(x * P.exp(-x * x), v["layers"][0]["w"], v["layers"][0]["b"]))
    return P.linear(P.tanh(h), v["layers"][1]["w"]).sum()


def loss(v, x=X):
    return P.mean_squared_error(-input_gradient(energy, v, x), FORCES)


def differences(f, array, direction, h=1e-5):
    return (f(array + h * direction) - f(array - h * direction)) / (2 * h)


def test_forces_are_the_slope_of_the_energy():
    found = input_gradient(energy, NETWORK, X)
    for _ in range(3):
        d = RNG.normal(size=X.shape)
        assert np.vdot(found, d) == pytest.approx(differences(lambda x: float(energy(NETWORK, x)), X, d), rel=1e-7)


def test_the_gradient_of_a_loss_of_forces_against_differences():
    value, gradients = value_and_gradients(loss, NETWORK)
    assert float(value) == pytest.approx(float(((-input_gradient(energy, NETWORK, X) - FORCES) ** 2).mean()))
    for layer, own in zip(NETWORK["layers"], gradients["layers"]):
        for name, w in layer.items():
            d, before = RNG.normal(size=w.shape), w.copy()

            def moved(values, w=w):
                w[...] = values
                return float(loss(NETWORK))

            expected = differences(moved, before, d)
            w[...] = before
            assert np.vdot(own[name], d) == pytest.approx(expected, rel=1e-6)


def test_the_input_has_a_gradient_too():
    _, gradient = value_and_gradients(lambda x: loss(NETWORK, x), X)
    d = RNG.normal(size=X.shape)
    assert np.vdot(gradient, d) == pytest.approx(differences(lambda x: float(loss(NETWORK, x)), X, d), rel=1e-6)


def test_a_slope_that_does_not_depend_on_a_parameter_gives_it_zeros():
    def linear_energy(v, x):
        return (x * v["a"]).sum() + v["b"].sum()

    _, gradients = value_and_gradients(
        lambda v: input_gradient(linear_energy, v, X).sum(), {"a": np.ones(3), "b": np.ones(2)}
    )
    np.testing.assert_array_equal(gradients["a"], [4, 4, 4])
    np.testing.assert_array_equal(gradients["b"], [0, 0])


def test_refusals():
    with pytest.raises(InvalidValueError, match=r"a Variable of shape \(4, 3\); expected one number"):
        input_gradient(lambda v, x: x * 2.0, {"w": X}, X)
    with pytest.raises(InvalidValueError, match="a float64 of shape"):
        input_gradient(lambda v, x: v["w"].sum(), {"w": X}, X)
    twice = lambda v: input_gradient(lambda v, x: input_gradient(energy, v, x).sum(), v, X).sum()  # noqa: E731
    with pytest.raises(InvalidValueError, match=r"input_gradient.* has no rule"):
        value_and_gradients(twice, NETWORK)

    def relative(v, x):
        return P.relative_l2((v["w"] * x)[None], target=np.ones((1, 4, 3)))

    with pytest.raises(InvalidValueError, match=r"relative_l2.* has no rule"):
        value_and_gradients(lambda v: input_gradient(relative, v, X).sum(), {"w": X})
