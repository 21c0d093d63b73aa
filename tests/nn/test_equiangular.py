"""Equiangular vectors: exact frames, the Welch bound, cases where the published code fails; the head's derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.nn import (
    Adam,
    coherence,
    cross_entropy,
    equiangular_logits,
    equiangular_vectors,
    linear,
    relu,
    train,
    value_and_gradients,
    welch_bound,
)


@pytest.mark.parametrize(("n", "d"), [(6, 3), (4, 3), (10, 5), (16, 6), (28, 7)])
def test_equiangular_tight_frames_are_found(n: int, d: int) -> None:
    found = equiangular_vectors(n, d)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-12)
    assert coherence(found) < welch_bound(n, d) + 1e-6
    # Every two are at the same angle, and together they are a tight frame.
    gram = found @ found.T
    np.testing.assert_allclose(np.abs(gram[~np.eye(n, dtype=bool)]), welch_bound(n, d), atol=1e-3)
    np.testing.assert_allclose(found.T @ found, n / d * np.eye(d), atol=1e-3)


def test_up_to_as_many_as_dimensions_are_orthogonal() -> None:
    assert coherence(equiangular_vectors(5, 8)) < 1e-14
    assert welch_bound(5, 8) == 0.0


def test_many_vectors_reach_what_is_asked_for() -> None:
    found = equiangular_vectors(300, 150, below=0.095)
    assert welch_bound(300, 150) < coherence(found) <= 0.095


@pytest.mark.nightly
@pytest.mark.parametrize(("n", "d", "below"), [(1000, 512, 0.05), (1041, 384, 0.051)])
def test_the_cases_of_users_converge(n: int, d: int, below: float) -> None:
    assert coherence(equiangular_vectors(n, d, below=below)) <= below


def test_what_cannot_be_reached_is_an_error() -> None:
    with pytest.raises(ConvergenceError, match="with cosines up to"):
        equiangular_vectors(300, 150, below=0.06, maxiter=3)
    with pytest.raises(InvalidValueError, match="Welch"):
        equiangular_vectors(6, 3, below=0.4)
    with pytest.raises(InvalidValueError, match="zero"):
        coherence(np.zeros((2, 2)))


def test_logits_are_cosines_and_their_derivative_is_that_of_differences() -> None:
    rng = np.random.default_rng(0)
    vectors, h = equiangular_vectors(6, 3), rng.normal(size=(4, 3))
    cosines = (h / np.linalg.norm(h, axis=1, keepdims=True)) @ vectors.T
    np.testing.assert_allclose(equiangular_logits(h, vectors, temperature=0.5), 2 * cosines, rtol=1e-12)
    np.testing.assert_allclose(equiangular_logits(1e3 * h, vectors), equiangular_logits(h, vectors), rtol=1e-12)
    labels = np.array([0, 1, 2, 5])

    def loss(v: Any) -> Any:
        return cross_entropy(equiangular_logits(v, vectors), labels)

    gradient, away = value_and_gradients(loss, h)[1], rng.normal(size=h.shape)
    ends = [float(loss(h + s * 1e-6 * away)) for s in (1, -1)]
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, (gradient * away).sum(), rtol=1e-7)
    assert equiangular_logits(h.astype("f4"), vectors).dtype == np.float32


def test_a_classifier_with_fewer_dimensions_than_classes_learns() -> None:
    rng = np.random.default_rng(0)
    centers = 2 * rng.normal(size=(10, 8))
    y = rng.integers(0, 10, 900)
    x = centers[y] + rng.normal(size=(900, 8))
    vectors = equiangular_vectors(10, 5)

    def logits(p: Any, points: Any) -> Any:
        return equiangular_logits(linear(relu(linear(points, p["w"])), p["v"]), vectors)

    start = {"w": rng.normal(size=(40, 8)) / 3, "v": rng.normal(size=(5, 40)) / 6}
    done = train(
        lambda p, batch: cross_entropy(logits(p, batch[0]), batch[1]),
        *(start, (x[:600], y[:600])),
        optimizer=Adam(0.01),
        epochs=20,
        batch_size=50,
    )
    assert (np.asarray(logits(done.parameters, x[600:])).argmax(axis=1) == y[600:]).mean() > 0.9


def test_wrong_features_are_refused() -> None:
    with pytest.raises(ShapeError):
        equiangular_logits(np.ones((2, 3)), np.eye(2))
    with pytest.raises(InvalidValueError, match="no direction"):
        equiangular_logits(np.zeros((1, 2)), np.eye(2))
    with pytest.raises(InvalidValueError, match="temperature"):
        equiangular_logits(np.ones((1, 2)), np.eye(2), temperature=0.0)
