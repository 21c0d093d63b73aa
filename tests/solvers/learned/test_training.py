"""Training the learned cycle: its loss, its gradients, its random errors."""

from __future__ import annotations

import numpy as np
import pytest
from learned_problems import matrices, problem, random_parameters
from scipy.linalg import eigh

from sci.errors import InvalidValueError
from sci.solvers.learned import levels as cycle_levels
from sci.solvers.learned.reference import cycle_of
from sci.solvers.learned.training import condition_gradients, krylov, train_cycle


@pytest.fixture(autouse=True)
def _three_levels(monkeypatch):
    monkeypatch.setattr(cycle_levels, "COARSEST", 12)


def test_the_loss_is_the_condition_number_and_its_gradients_those_of_it():
    """Against the spectrum of dense matrices; the vectors count as given, so the partial derivative is whole."""
    levels, parameters = problem((6, 6, 7), seed=9, walls=[(True, True)] * 3), random_parameters(5, 0.3)

    def condition(at):
        m, a = matrices(levels, at)
        spectrum = eigh(a, np.linalg.inv(m), eigvals_only=True)
        return np.log(spectrum.max() / spectrum.min())

    e = np.random.default_rng(7).normal(size=(1, 6, 6, 7)) * levels[0].fraction
    directions, projected = krylov(cycle_of(levels, parameters), e, 4)
    Az = [cycle_of(levels, parameters).stages[0].apply(z) for z in directions]
    np.testing.assert_allclose(projected[0], [[np.vdot(y, z) for z in directions] for y in Az], atol=1e-12)
    loss, gradients = condition_gradients(cycle_of(levels, parameters), e, parameters, steps=40)
    assert loss == pytest.approx(condition(parameters), rel=1e-8)
    for name in ("level0.w2", "level0.spread", "level1.b1", "level0.gain"):
        direction = np.random.default_rng(8).normal(size=gradients[name].shape)
        ahead, behind = (condition({**parameters, name: parameters[name] + h * direction}) for h in (1e-5, -1e-5))
        assert np.vdot(gradients[name], direction) == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-8), name


def test_training_repeats_and_learns():
    losses: list[float] = []
    first = train_cycle((8, 12), steps=12, seed=3, callback=lambda step, loss: losses.append(loss))
    again = train_cycle((8, 12), steps=12, seed=3)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert np.mean(losses[6:]) < np.mean(losses[:6])
    with pytest.raises(InvalidValueError, match="sizes"):
        train_cycle((4,))
