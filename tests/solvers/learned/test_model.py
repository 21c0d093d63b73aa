"""Models of the learned cycle: pretrained, saved, loaded, from old files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.io import load, save
from sci.nn import ModelState
from sci.solvers import CycleModel
from sci.solvers.learned.parameters import consistent_gain

OLD = Path(__file__).parents[2] / "data" / "learned_cycle_v1.h5"
"""The model that shipped with the first version, in a file of schema 1."""


def test_the_pretrained_model_does_not_lengthen_corrections_with_every_level():
    """A model that does takes more iterations on larger grids than training sees."""
    parameters = CycleModel.pretrained().parameters
    np.testing.assert_allclose(parameters["level2.gain"], consistent_gain(parameters, 2), atol=1e-12)


def test_a_model_is_not_changed_through_another():
    first = CycleModel.pretrained()
    before = float(first.parameters["level0.tap"])
    first.parameters["level0.tap"] += 1
    assert CycleModel.pretrained().parameters["level0.tap"] == before


def test_the_pretrained_model_is_that_of_the_first_file():
    old = load(OLD)
    expected = CycleModel.pretrained().parameters
    levels = [name for name in expected if name.startswith("level")]
    assert len(levels) == 24
    assert all(np.array_equal(old.parameters[n], expected[n]) for n in levels)
    # It knows nothing of networks.
    assert not any(old.parameters[n].any() for n in set(expected) - set(levels))


def test_models_are_saved_and_loaded(tmp_path):
    model = CycleModel.untrained()
    save(tmp_path / "model.h5", model)
    again = load(tmp_path / "model.h5")
    assert all(np.array_equal(again.parameters[n], p) for n, p in model.parameters.items())
    assert again.n_parameters == 279
    with pytest.raises(InvalidValueError, match="FNO"):
        CycleModel.from_state(ModelState("FNO", {}, {}))
