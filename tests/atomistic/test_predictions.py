"""Predictions for many configurations: what fits together, and files."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import crystal, molecule, potential

from sci.atomistic import Prediction, Predictions, predict_configurations
from sci.errors import InvalidValueError, ShapeError
from sci.io import load, save


def test_files_give_them_back(tmp_path):
    found = predict_configurations(potential(), [crystal(), molecule()])
    save(tmp_path / "out.h5", found)
    again = load(tmp_path / "out.h5")
    assert repr(again) == repr(found) == "Predictions(2 configurations, 17 atoms)"
    for one, two in zip(found.predictions, again.predictions):
        np.testing.assert_array_equal(one.forces, two.forces)
        assert (one.energy, one.stress is None) == (two.energy, two.stress is None)
    assert again.configurations[0].species == crystal().species
    assert again.configurations[1].cell is None


def test_refusals():
    with pytest.raises(ShapeError, match="1 predictions for 0"):
        Predictions([], [Prediction(0.0, np.zeros((1, 3)))])
    with pytest.raises(ShapeError, match="configuration 0 has 5 atoms"):
        Predictions([molecule()], [Prediction(0.0, np.zeros((1, 3)))])
    with pytest.raises(InvalidValueError, match="no configurations"):
        predict_configurations(potential(), [])
