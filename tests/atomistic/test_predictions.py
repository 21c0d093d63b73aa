"""Predictions for many configurations: what fits together."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import molecule, potential

from sci.atomistic import Prediction, Predictions, predict_configurations
from sci.errors import InvalidValueError, ShapeError


def test_refusals():
    with pytest.raises(ShapeError, match="1 predictions for 0"):
        Predictions([], [Prediction(0.0, np.zeros((1, 3)))])
    with pytest.raises(ShapeError, match="configuration 0 has 5 atoms"):
        Predictions([molecule()], [Prediction(0.0, np.zeros((1, 3)))])
    with pytest.raises(InvalidValueError, match="no configurations"):
        predict_configurations(potential(), [])
    with pytest.raises(InvalidValueError, match="energy is inf"):
        Prediction(np.inf, np.zeros((1, 3)))
