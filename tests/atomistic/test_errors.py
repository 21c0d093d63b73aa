"""Errors of predictions: root mean squares over what is known."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import crystal, molecule, potential
from thread_ranks import on_ranks

from sci.atomistic import (
    AtomisticPotential,
    Configuration,
    PotentialTraining,
    Prediction,
    predict_configurations,
    prediction_errors,
    train_potential,
)
from sci.atomistic.errors import error_sums, errors_of_sums
from sci.errors import InvalidValueError


def test_sums_count_what_is_known():
    truth = Configuration(("Na", "Cl"), [[0, 0, 0], [2, 0, 0]], energy=-4.0, forces=np.ones((2, 3)))
    found = errors_of_sums(error_sums(Prediction(-3.0, np.full((2, 3), 1.5)), truth))
    assert found == {"energy": 0.5, "force": 0.5, "force_relative": 0.5}
    plain = Configuration(truth.species, truth.positions)
    assert errors_of_sums(error_sums(Prediction(0.0, np.zeros((2, 3))), plain)) == {}


def test_ranks_share_the_configurations():
    made = potential()
    data = [
        Configuration(o.species, o.positions, o.cell, energy=1.0, forces=0 * o.positions)
        for o in (crystal(), molecule(), crystal(1))
    ]
    alone = prediction_errors(made, data)
    for found in on_ranks(2, lambda comm: prediction_errors(made, data, comm=comm)):
        assert found == pytest.approx(alone, rel=1e-13)
    with pytest.raises(InvalidValueError, match="no configurations"):
        prediction_errors(made, [])


def _with_energy(one):
    return Configuration(one.species, one.positions, one.cell, energy=2.0)


def test_ranks_refuse_configurations_and_potentials_that_differ():
    made, other, data = potential(), potential(channels=2), [_with_energy(crystal())] * 3
    longer = AtomisticPotential(made.config, seed=99)
    moved = [
        *data[:2],
        Configuration(data[2].species, data[2].positions + 0.01 * np.eye(3)[0], data[2].cell, energy=2.0),
    ]
    known = [*data[:2], Configuration(data[2].species, data[2].positions, data[2].cell, energy=2.5)]
    start, config = AtomisticPotential(made.config, seed=1), PotentialTraining(epochs=1)
    kept = start.with_parameters(start.parameters, {**start.statistics, "scale": np.array([2.0])})
    calls = (
        (lambda p, d, comm: predict_configurations(p, d, comm=comm), made),
        (lambda p, d, comm: prediction_errors(p, d, comm=comm), made),
        (lambda p, d, comm: train_potential(p, d, config, comm=comm), start),
        (lambda p, d, comm: train_potential(start, data, config, tests={"t": d}, comm=comm), start),
    )
    for call, own in calls:
        for second, words in (((own, moved), "differs between ranks"), ((own, known), "differs between ranks")):
            _refused_on_two(call, (own, data), second, words)
    for call, own in calls[:3]:
        for different in (longer, other, kept):
            _refused_on_two(call, (own, data), (different, data), "potential differs between ranks")


def _refused_on_two(call, first, second, words):
    def body(comm):
        with pytest.raises(InvalidValueError, match=words):
            call(*(second if comm.rank else first), comm)

    on_ranks(2, body)
