"""Influences of entries: one step of descent, leaving one out, and the importance of places."""

from __future__ import annotations

import numpy as np
import pytest

from sci.completion import entity_importance, last_layer_influence
from sci.errors import InvalidValueError, ShapeError
from sci.nn import linear, mean, relu, value_and_gradients

RNG = np.random.default_rng(0)
HIDDEN = {"weight": RNG.normal(size=(12, 5)), "bias": RNG.normal(size=12)}
X, V = RNG.normal(size=(120, 5)), RNG.normal(size=(80, 5))
TRUTH = RNG.normal(size=5)
Y, W = np.tanh(X @ TRUTH) + 0.3 * RNG.normal(size=120), np.tanh(V @ TRUTH) + 0.3 * RNG.normal(size=80)


def _features(x: np.ndarray) -> np.ndarray:
    return np.asarray(relu(linear(x, HIDDEN["weight"], HIDDEN["bias"])))


def _error(last: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    return float(((_features(x) @ last["weight"] + last["bias"] - y) ** 2).mean())


def test_a_step_along_one_entry_changes_the_error_of_the_others_to_second_order() -> None:
    last = {"weight": RNG.normal(size=12), "bias": RNG.normal(size=1)}
    left, away = _features(X) @ last["weight"] + last["bias"] - Y, _features(V) @ last["weight"] + last["bias"] - W
    influence = last_layer_influence(_features(X), left, _features(V), away)
    for n in (0, 7, 31):

        def loss(p, n=n):
            found = (_features(X[n : n + 1]) * p["weight"]).sum() + p["bias"].sum()
            return mean((found - Y[n]) * (found - Y[n]))

        gradient = value_and_gradients(loss, last)[1]
        steps = np.array([1e-3, 1e-4, 1e-5])
        rest = [
            _error({k: p - eps * gradient[k] for k, p in last.items()}, V, W) - _error(last, V, W) + eps * influence[n]
            for eps in steps
        ]
        np.testing.assert_allclose(np.diff(np.log10(np.abs(rest))), -2, atol=0.05)


def _ridge(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    z = np.c_[_features(x), np.ones(len(x))]
    return np.linalg.solve(z.T @ z + ridge * np.eye(z.shape[1]), z.T @ y)


@pytest.mark.parametrize("ridge", [0.3, 3.0])
def test_it_tells_what_a_ridge_regression_without_an_entry_loses(ridge: float) -> None:
    w, z, v = _ridge(X, Y, ridge), np.c_[_features(X), np.ones(120)], np.c_[_features(V), np.ones(80)]
    told = last_layer_influence(_features(X), z @ w - Y, _features(V), v @ w - W, ridge=ridge)
    base = ((v @ w - W) ** 2).mean()
    lost = []
    for n in range(120):
        keep = np.arange(120) != n
        lost.append(((v @ _ridge(X[keep], Y[keep], ridge) - W) ** 2).mean() - base)
    np.testing.assert_allclose(told, lost, rtol=1e-6, atol=1e-12)


def test_weights_are_repetitions() -> None:
    times = np.array([1, 2, 3])
    features, left = RNG.normal(size=(3, 4)), RNG.normal(size=3)
    other, away = RNG.normal(size=(2, 4)), RNG.normal(size=2)
    both = {"weights": times, "held_out_weights": np.array([1, 2])}
    weighed = last_layer_influence(features, left, other, away, **both)
    repeated = last_layer_influence(
        *(np.repeat(features, times, axis=0), np.repeat(left, times)),
        *(np.repeat(other, [1, 2], axis=0), np.repeat(away, [1, 2])),
    )
    np.testing.assert_allclose(weighed, np.add.reduceat(repeated, [0, 1, 3]), rtol=1e-10)


def test_the_importance_of_places_adds_up() -> None:
    index = np.array([[0, 2], [1, 2], [1, 0]])
    first, second = entity_importance(index, np.array([1.0, -2.0, 5.0]), (3, 3))
    np.testing.assert_allclose(first, [0.125, 0.875, 0])
    np.testing.assert_allclose(second, [0.625, 0, 0.375])


def test_what_is_refused() -> None:
    with pytest.raises(ShapeError, match="hidden values"):
        last_layer_influence(np.ones((2, 3)), np.ones(2), np.ones((2, 4)), np.ones(2))
    with pytest.raises(InvalidValueError, match="ridge is 0"):
        last_layer_influence(np.ones((2, 3)), np.ones(2), np.ones((2, 3)), np.ones(2), ridge=0.0)
    with pytest.raises(InvalidValueError, match="NaN"):
        last_layer_influence(np.ones((2, 3)), np.array([1, np.nan]), np.ones((2, 3)), np.ones(2))
    with pytest.raises(InvalidValueError, match="positive weight"):
        last_layer_influence(np.ones((2, 3)), np.ones(2), np.ones((2, 3)), np.ones(2), weights=np.zeros(2))
    with pytest.raises(InvalidValueError, match="adds up to 0"):
        entity_importance(np.zeros((2, 2), int), np.zeros(2), (1, 1))
    with pytest.raises(ShapeError, match="expected integers"):
        entity_importance(np.zeros((2, 2)), np.ones(2), (1, 1))
