"""Importance samples give log Z within their error, on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.generative import IsingModel, MarginalModel, importance_log_z, log_weight, transfer_matrix


def test_a_uniform_model_gives_log_z_within_the_error() -> None:
    lattice, model = IsingModel((3, 3), 0.15, 0.1), MarginalModel(9, 2, hidden=4)
    exact, pulls = transfer_matrix(lattice).log_z, []
    for seed in range(20):
        found = importance_log_z(model, log_weight(lattice), samples=1000, seed=seed)
        pulls.append((found.log_z - exact) / found.error)
        assert found.bound < exact
        assert 0.05 < found.effective < 1
    assert abs(np.mean(pulls)) < 1
    assert 0.5 < np.std(pulls) < 1.6


def test_samples_are_the_same_on_any_number_of_ranks() -> None:
    f, model = log_weight(IsingModel((2, 2), 0.3)), MarginalModel(4, 2, hidden=4)
    serial = importance_log_z(model, f, samples=7, seed=2)
    for size in (2, 9):
        assert all(
            found == serial
            for found in on_ranks(size, lambda comm: importance_log_z(model, f, samples=7, seed=2, comm=comm))
        )


def test_one_sample_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="samples is 1"):
        importance_log_z(MarginalModel(4, 2, hidden=4), log_weight(IsingModel((2, 2))), samples=1)


def test_ranks_have_one_model() -> None:
    def work(comm: object) -> None:
        model = MarginalModel(3, 2, hidden=4, seed=comm.rank)
        with pytest.raises(InvalidValueError, match="parameters differs between ranks"):
            importance_log_z(model, lambda x: np.zeros(len(x)), samples=8, comm=comm)

    on_ranks(2, work)
