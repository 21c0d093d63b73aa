"""Errors of predictions: root mean squares over what is known."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import crystal, molecule, potential
from thread_ranks import on_ranks

from sci.atomistic import Configuration, Prediction, prediction_errors
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
