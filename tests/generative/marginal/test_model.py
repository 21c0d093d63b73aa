"""Marginalization models: conditionals that sum to one, samples in any order, states."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.generative import MarginalModel
from sci.generative.spins.exact import every_state
from sci.nn import ModelState


def shaken(d: int = 5, k: int = 3, dtype: object = np.float64) -> MarginalModel:
    """Return a model whose outputs are not zero."""
    model = MarginalModel(d, k, hidden=12, layers=2, seed=1, dtype=dtype)
    rng = np.random.default_rng(2)
    for part in model.parameters.values():
        part["head"] = rng.normal(size=part["head"].shape).astype(dtype)
    return model


def test_conditionals_sum_to_one_to_rounding() -> None:
    model, rng = shaken(), np.random.default_rng(0)
    x, known = rng.integers(0, 3, (50, 5)), rng.random((50, 5)) < 0.5
    found = model.log_conditionals(x, known)
    np.testing.assert_allclose(np.exp(found).sum(axis=2), 1, rtol=1e-14)
    np.testing.assert_array_equal(np.exp(found)[known], np.eye(3)[x[known]])
    single = np.exp(shaken(dtype=np.float32).log_conditionals(x, known)).sum(axis=2)
    np.testing.assert_allclose(single, 1, rtol=5e-7)


def test_nothing_is_certain_and_unknown_values_do_not_matter() -> None:
    model = shaken()
    x, known = np.random.default_rng(1).integers(0, 3, (7, 5)), np.arange(5) < 2
    assert (model.log_marginal(x, np.zeros(5, bool)) == 0).all()
    other = np.where(known, x, 99)
    np.testing.assert_array_equal(model.log_marginal(other, known), model.log_marginal(x, known))
    np.testing.assert_array_equal(model.log_conditionals(other, known)[:, 2:], model.log_conditionals(x, known)[:, 2:])


@pytest.mark.parametrize("order", [None, [3, 0, 4, 2, 1]])
def test_a_likelihood_is_the_chain_of_conditionals_and_sums_to_one(order: list[int] | None) -> None:
    model, x = shaken(), every_state(5, np.arange(3))
    found = model.log_likelihood(x, order=order)
    known, expected = np.zeros(5, bool), np.zeros(len(x))
    for i in order or range(5):
        expected += np.take_along_axis(model.log_conditionals(x, known)[:, i], x[:, i, None].astype(int), axis=1)[:, 0]
        known[i] = True
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    assert np.exp(found).sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("order", [None, [2, 0, 1]])
def test_samples_have_the_probabilities_of_their_likelihoods(order: list[int] | None) -> None:
    model, n = shaken(3, 2), 20_000
    x, logs = model.draw(n, order=order, seed=3)
    np.testing.assert_allclose(logs, model.log_likelihood(x, order=order), rtol=1e-11)
    states = every_state(3, np.arange(2))
    expected = n * np.exp(model.log_likelihood(states, order=order))
    counts = np.bincount(x @ [4, 2, 1], minlength=8)
    assert ((counts - expected) ** 2 / expected).sum() < 7 + 5 * np.sqrt(14)


def test_samples_keep_what_is_known_and_do_not_depend_on_their_number() -> None:
    model = shaken()
    known, x = np.array([True, False, True, False, False]), np.array([2, 0, 1, 0, 0])
    found = model.sample(40, order=[4, 3, 2, 1, 0], x=x, known=known, seed=5)
    assert (found[:, [0, 2]] == [2, 1]).all()
    assert len(np.unique(found, axis=0)) > 3
    np.testing.assert_array_equal(
        model.draw(10, first=30, order=[4, 3, 2, 1, 0], x=x, known=known, seed=5)[0], found[30:]
    )


def test_a_state_gives_the_model_back() -> None:
    model = shaken(dtype=np.float32)
    again = MarginalModel.from_state(model.to_state())
    x = np.random.default_rng(1).integers(0, 3, (7, 5))
    np.testing.assert_array_equal(again.log_marginal(x), model.log_marginal(x))
    assert repr(again) == repr(model)
    assert again.dtype == np.float32


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m: MarginalModel(4, 1), "at least 2 values"),
        (lambda m: MarginalModel(0, 2), "one variable or more"),
        (lambda m: MarginalModel(4, 2, dtype=np.int64), "dtype is int64"),
        (lambda m: m.log_marginal(np.zeros((2, 4), int)), r"expected \(n, 5\)"),
        (lambda m: m.log_marginal(np.zeros((2, 5))), "expected integers"),
        (lambda m: m.log_marginal(np.full((2, 5), 3)), "values beyond 0 to 2"),
        (lambda m: m.log_marginal(np.zeros((2, 5), int), np.ones(4, bool)), "known of shape"),
        (lambda m: m.log_marginal(np.zeros((2, 5), int), np.ones(5)), "expected bool"),
        (lambda m: m.sample(2, order=[0, 0, 1, 2, 3]), "expected a permutation"),
        (lambda m: m.sample(0), "one sample or more"),
        (lambda m: m.sample(2, x=np.zeros(5, int)), "and both"),
        (lambda m: m.sample(2, x=np.zeros(5, int), known=np.ones((2, 5), bool)), r"expected \(5,\)"),
        (lambda m: MarginalModel.from_state(ModelState("other", {}, {})), "is not that of"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: object, text: str) -> None:
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        call(shaken())  # type: ignore[operator]


def test_rows_of_known_values_are_one_or_one_for_each_sample() -> None:
    with pytest.raises(ShapeError, match="x of 3 rows for 2 samples"):
        MarginalModel(4, 2, hidden=4).sample(2, x=np.zeros((3, 4), int), known=np.ones(4, bool))
