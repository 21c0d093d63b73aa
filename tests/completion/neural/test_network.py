"""The network of embeddings learns, keeps its best epoch, holds whole cells out, and sums influences as it says."""

from __future__ import annotations

import numpy as np
import pytest

from sci.completion import last_layer_influence, neural_completion, observe
from sci.completion.neural.network import drawn_network, forward
from sci.errors import InvalidValueError, ShapeError

RNG = np.random.default_rng(0)
INDEX = np.stack(np.unravel_index(RNG.permutation(600)[:450], (20, 30)), axis=1)
Y = np.sin(INDEX[:, 0] / 3) + INDEX[:, 1] / 10
SEEN = observe(INDEX, Y, shape=(20, 30))
SMALL = {"width": 4, "hidden": (16, 8), "learning_rate": 1e-2, "batch_size": 32}


def test_it_learns_entries_that_it_has_not_seen() -> None:
    found = neural_completion(SEEN, **SMALL)
    cells = np.stack(np.indices((20, 30)).reshape(2, -1), axis=1)
    truth = np.sin(cells[:, 0] / 3) + cells[:, 1] / 10
    assert np.sqrt(((found.predict(cells) - truth) ** 2).mean()) < 0.2 * truth.std()
    away = found.held_out
    left = found.predict(SEEN.index[away]) - SEEN.values[away]
    np.testing.assert_allclose((left**2).mean() / SEEN.scale**2, found.errors.min(), rtol=1e-10)
    assert 0.15 < away.mean() < 0.25
    assert "axis_0, axis_1" in repr(found)


def test_it_stops_and_keeps_the_best_epoch() -> None:
    noisy = observe(INDEX, RNG.normal(size=len(Y)), shape=(20, 30))
    found = neural_completion(noisy, epochs=60, patience=3, **SMALL)
    errors = found.errors
    assert len(errors) < 61
    assert len(errors) - 1 == int(errors.argmin()) + 3
    left = found.entries(noisy.index[found.held_out]) - noisy.standardized[found.held_out]
    np.testing.assert_allclose((left**2).mean(), errors.min(), rtol=1e-10)


def test_cells_are_held_out_as_a_whole() -> None:
    twice = np.concatenate([INDEX, INDEX]), np.concatenate([Y, Y + 0.1])
    found = neural_completion(observe(*twice, shape=(20, 30)), epochs=1, **SMALL)
    pairs = found.held_out.reshape(-1, 2)  # entries are in the order of their cells
    assert (pairs[:, 0] == pairs[:, 1]).all()


def test_the_influence_is_the_sum_at_the_beginnings_of_the_epochs() -> None:
    found = neural_completion(SEEN, epochs=1, seed=4, **SMALL)
    start = drawn_network(SEEN.shape, 4, (16, 8), np.random.default_rng([4, 0]))
    predicted, features = forward(start, SEEN.index)
    left, away = predicted - SEEN.standardized, found.held_out
    expected = 1e-2 * last_layer_influence(features[~away], left[~away], features[away], left[away])
    np.testing.assert_allclose(found.influence[~away], expected, rtol=1e-12)
    assert not found.influence[away].any()


def test_more_cells_are_trained_on() -> None:
    missing = np.stack(np.indices((20, 30)).reshape(2, -1), axis=1)
    truth = np.sin(missing[:, 0] / 3) + missing[:, 1] / 10
    plain = neural_completion(SEEN, epochs=10, **SMALL)
    more = neural_completion(SEEN, epochs=10, extra=(missing, truth), **SMALL)
    rms = [np.sqrt(((found.predict(missing) - truth) ** 2).mean()) for found in (plain, more)]
    assert rms[1] < 0.8 * rms[0]


def test_what_is_refused() -> None:
    with pytest.raises(ShapeError, match="extra holds"):
        neural_completion(SEEN, extra=(np.zeros((2, 3), int), np.zeros(2)))
    with pytest.raises(InvalidValueError, match="outside"):
        neural_completion(SEEN, extra=(np.array([[0, 30]]), np.zeros(1)))
    with pytest.raises(InvalidValueError, match="NaN"):
        neural_completion(SEEN, extra=(np.array([[0, 3]]), np.array([np.nan])))
    for options in ({"held_out": 1.0}, {"width": 0}, {"hidden": (4, 0)}, {"patience": 0}):
        with pytest.raises(InvalidValueError, match="expected positive"):
            neural_completion(SEEN, **options)
    with pytest.raises(InvalidValueError, match="none of its"):
        neural_completion(SEEN, epochs=1, **SMALL).predict(np.array([[0.5, 1.0]]))
