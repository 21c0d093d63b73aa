"""Training the numbers of a network: its measure of a solve, and that the same seed gives the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ConvergenceError
from sci.problems.media import rock
from sci.solvers import CycleModel, PoissonOperator
from sci.solvers.network import training
from sci.solvers.network.numbers import PLAIN, SHAPES, numbers_of
from sci.solvers.network.training import FAILED, log_iterations, train_network


def test_the_measure_is_that_of_the_iterations(monkeypatch):
    A = PoissonOperator(rock(32), boundary="neumann", neumann_body=True)
    right = [A.project(np.random.default_rng(k).normal(size=A.size)) for k in range(2)]
    plain, learned = (log_iterations(A, n, right) for n in (PLAIN, numbers_of(CycleModel.pretrained().parameters)))
    assert np.log(0.3) < learned < plain - 0.05 < np.log(1.0)
    assert log_iterations(A, PLAIN, right[:1]) <= plain
    assert log_iterations(A, PLAIN, [np.zeros(A.size)]) == pytest.approx(np.log(1e-3))

    def fails(*_, **__):
        raise ConvergenceError("no")

    monkeypatch.setattr(training, "cg", fails)
    assert log_iterations(A, PLAIN, right) == FAILED


def test_training_repeats(monkeypatch):
    monkeypatch.setattr(training, "FAMILIES", training.FAMILIES[8:9])
    losses: list[float] = []
    monkeypatch.setattr(training, "random_problem", lambda _, n, rng: training.FAMILIES[0](n, rng))
    first = train_network(2, n=16, seed=1, callback=lambda step, loss: losses.append(loss))
    again = train_network(2, n=16, seed=1)
    assert {name: p.shape for name, p in first.items()} == SHAPES
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(first[name].any() for name in ("network.strong", "network.own", "network.root"))
    assert np.isfinite(losses).all()
    assert len(losses) == 2
