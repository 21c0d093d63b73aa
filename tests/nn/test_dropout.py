"""Dropout: scaled, off in evaluation, the same numbers on any ranks, in parts, in checkpoints, after a restart."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

import sci.nn as P
from sci.errors import InvalidValueError, SciError
from sci.nn import Adam, Draws, Tape, checkpoint, directional_derivatives, dropout, train, value_and_gradients

X = np.random.default_rng(3).normal(size=(40, 6))
Y = np.sin(X[:, :1])
START = {"a": np.random.default_rng(4).normal(size=(8, 6)), "b": np.random.default_rng(5).normal(size=(1, 8))}


def test_a_fraction_is_dropped_and_the_mean_is_kept():
    out = dropout(np.ones((500, 400), "f4"), 0.3, Draws(1, 2))
    assert out.dtype == np.float32
    assert set(np.unique(out).tolist()) == {0.0, float(np.float32(1) / np.float32(0.7))}
    assert abs((out == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / out.size)
    assert abs(out.mean() - 1) < 0.01


def test_evaluation_and_a_rate_of_zero_change_nothing():
    assert dropout(X, 0.5, None) is X
    assert dropout(X, 0.0, Draws(0, 0)) is X


def test_samples_names_and_steps_have_numbers_of_their_own():
    whole = Draws(7, 3).uniform("a", (10, 4))
    np.testing.assert_array_equal(Draws(7, 3, 6).uniform("a", (4, 4)), whole[6:])
    others = [Draws(7, 4).uniform("a", (10, 4)), Draws(7, 3).uniform("b", (10, 4)), Draws(8, 3).uniform("a", (10, 4))]
    for other in others:
        assert not np.isin(other, whole).any()
    assert whole.min() >= 0
    assert whole.max() < 1


def test_a_generator_of_ones_own():
    first = dropout(X, 0.5, np.random.default_rng(0))
    np.testing.assert_array_equal(first, np.where(np.random.default_rng(0).random(X.shape) >= 0.5, 2 * X, 0))


def test_the_gradient_is_the_mask():
    out = dropout(np.ones_like(X), 0.25, Draws(0, 1))
    _, gradient = value_and_gradients(lambda x: dropout(x, 0.25, Draws(0, 1)).sum(), X)
    np.testing.assert_array_equal(gradient, out)
    slope = directional_derivatives(lambda x: dropout(x, 0.25, Draws(0, 1)), X, np.ones_like(X))[1]
    np.testing.assert_array_equal(slope, out)


def test_a_checkpoint_drops_the_same_entries_again():
    def layer(x, draws):
        return dropout(P.tanh(x), 0.5, draws)

    plain = value_and_gradients(lambda x: layer(x, Draws(0, 0)).sum(), X)
    kept = value_and_gradients(lambda x: checkpoint(layer, x, Draws(0, 0)).sum(), X)
    np.testing.assert_array_equal(plain[1], kept[1])
    with pytest.raises(InvalidValueError, match="within checkpoint"):
        checkpoint(layer, Tape().watch(X), np.random.default_rng(0))


def loss(v, batch, draws=None):
    h = dropout(P.tanh(P.linear(batch[0], v["a"])), 0.4, draws, name="hidden")
    return P.mean_squared_error(P.linear(dropout(h, 0.1, draws, name="last"), v["b"]), batch[1])


def fit(comm=None, **options):
    options = {"optimizer": Adam(1e-2), "epochs": 3, "batch_size": 16, "draws": True, "seed": 2, **options}
    return train(loss, START, (X, Y), comm=comm, **options)


def test_trainings_are_those_of_one_rank_to_rounding_and_go_on_to_the_same_bits():
    whole = fit()
    assert fit().parameters["a"].tobytes() == whole.parameters["a"].tobytes()
    assert np.abs(fit(seed=3).parameters["a"] - whole.parameters["a"]).max() > 1e-4
    assert fit(resume=fit(epochs=1)).parameters["a"].tobytes() == whole.parameters["a"].tobytes()
    for name in START:
        np.testing.assert_allclose(fit(accumulate=3).parameters[name], whole.parameters[name], rtol=1e-10)
        for done in on_ranks(3, lambda comm: fit(comm)):
            np.testing.assert_allclose(done.parameters[name], whole.parameters[name], rtol=1e-10)


@pytest.mark.parametrize(
    "call",
    [
        lambda: dropout(X, 1.0, None),
        lambda: dropout(X, -0.1, Draws(0, 0)),
        lambda: dropout(np.ones(()), 0.5, Draws(0, 0)),
        lambda: dropout("x", 0.5, Draws(0, 0)),
        lambda: dropout(X, 0.5, 3),
        lambda: Draws(-1, 0),
    ],
)
def test_refusals(call):
    with pytest.raises(SciError, match="expected"):
        call()
