"""Exact marginals of few variables are sums over all completions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from sci.errors import InvalidValueError, ShapeError
from sci.generative import (
    IsingModel,
    MarginalModel,
    PottsModel,
    log_weight,
    marginal_errors,
    partial_sums,
    transfer_matrix,
)
from sci.generative.marginal.exact import log_weights_of
from sci.generative.spins.exact import every_state


def test_partial_sums_are_sums_over_completions() -> None:
    f = log_weight(PottsModel((2, 2), 3, 0.7, 0.2), beta=0.9)
    sums, x = partial_sums(f, 4, 3), every_state(4, np.arange(3))
    logs = f(x)
    rng = np.random.default_rng(0)
    for _ in range(20):
        at = rng.integers(0, 4, 4)
        fits = ((x == at) | (at == 3)).all(axis=1)
        assert sums[tuple(at)] == pytest.approx(logsumexp(logs[fits]), rel=1e-13)
    assert sums[-1, -1, -1, -1] == pytest.approx(
        transfer_matrix(PottsModel((2, 2), 3, 0.7, 0.2), beta=0.9).log_z, rel=1e-13
    )


def test_values_are_the_states_of_a_lattice_in_order() -> None:
    model, x = IsingModel((2, 3), 0.4, 0.3), np.random.default_rng(1).integers(0, 2, (6, 6))
    np.testing.assert_allclose(
        log_weight(model, beta=0.5)(x), -0.5 * model.energy((2 * x - 1).reshape(6, 2, 3)), rtol=1e-14
    )


def test_errors_of_a_uniform_model_are_those_of_uniform_marginals() -> None:
    f, model = log_weight(IsingModel((2, 2), 0.3, 0.1)), MarginalModel(4, 2, hidden=4)
    sums = partial_sums(f, 4, 2)
    unknown = (np.indices(sums.shape) == 2).sum(axis=0)
    errors = np.abs((unknown - 4) * np.log(2) - (sums - sums.flat[-1]))
    found = marginal_errors(model, f)
    assert found.mean == pytest.approx(errors.mean(), rel=1e-5)
    assert found.largest == pytest.approx(errors.max(), rel=1e-5)
    assert found.log_z == pytest.approx(4 * np.log(2) - sums.flat[-1], rel=1e-5)
    p = np.exp(f(every_state(4, np.arange(2))) - sums.flat[-1])
    for divergence in (found.divergence, found.conditional_divergence):
        assert divergence == pytest.approx(-np.log(16) - np.log(p).mean(), rel=1e-5)


def test_what_does_not_fit_is_refused_by_name() -> None:
    f = log_weight(IsingModel((2, 2)))
    for call, kind, text in (
        (lambda: partial_sums(f, 20, 2), InvalidValueError, "partial configurations"),
        (lambda: partial_sums(lambda x: x, 3, 2), ShapeError, r"expected \(8,\)"),
        (
            lambda: log_weights_of(lambda x: np.full(len(x), np.nan), np.zeros((2, 3)), float),
            InvalidValueError,
            "log_weight",
        ),
        (lambda: log_weight(IsingModel((2, 2)), beta=-1.0), InvalidValueError, "beta is -1.0"),
    ):
        with pytest.raises(kind, match=text):
            call()


def test_variables_that_are_no_states_of_the_lattice_are_refused() -> None:
    """-1 would be the last state."""
    f = log_weight(PottsModel((2, 2), 3))
    for x, error in (
        (np.array([[0, 1, 2, -1]]), InvalidValueError),
        (np.array([[0, 1, 2, 3]]), InvalidValueError),
        (np.zeros((1, 4)), ShapeError),
        (np.zeros((2, 8), int), ShapeError),
    ):
        with pytest.raises(error, match="variables"):
            f(x)
