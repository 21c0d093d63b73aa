"""Trained operators: batches, files of every version, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.io import load
from sci.nn import ModelState, Standardizer
from sci.operators import FNO, TFNO, MultigridPatches, TrainedOperator

DATA = Path(__file__).parents[2] / "data"


def load_operator(path):
    found = load(path)
    return TrainedOperator.from_state(found) if isinstance(found, ModelState) else found


def test_models_of_other_kinds_are_refused():
    model = FNO((2, 2), 1, 1, 4, 1)
    stored = TrainedOperator(model).to_state()
    with pytest.raises(InvalidValueError, match="kind"):
        TrainedOperator.from_state(ModelState("Other", stored.options, stored.parameters))
    with pytest.raises(InvalidValueError, match="standardizer"):
        TrainedOperator.from_state(ModelState("FNO", {**stored.options, "inputs_eps": 0.0}, stored.parameters))
    with pytest.raises(InvalidValueError, match="NaN"):
        TrainedOperator(model)(np.full((1, 1, 4, 4), np.nan))


@pytest.mark.parametrize("name", ["fno", "tfno"])
def test_files_of_schema_1_are_read(name):
    """Written by the version before `rank_fraction` and `tensor_rank`, with standardizers of another name."""
    operator = load_operator(DATA / f"{name}_v1.h5")
    assert type(operator.model) is {"fno": FNO, "tfno": TFNO}[name]
    assert operator.model.config.tensor_rank == {"fno": 3, "tfno": None}[name]
    assert operator.model.config.rank_fraction == {"fno": 1.0, "tfno": 0.4}[name]
    assert (operator.inputs is None) == (name == "fno")
    with np.load(DATA / "fno_v1_output.npz") as stored:
        np.testing.assert_allclose(operator(stored["x"]), stored[name], rtol=0, atol=1e-6)


def test_batches_of_a_prediction_do_not_matter():
    operator = TrainedOperator(FNO((2, 3), 1, 2, 4, 1))
    x = np.random.default_rng(0).normal(size=(5, 1, 6, 7))
    np.testing.assert_allclose(operator(x, batch_size=2), operator(x), rtol=0, atol=1e-14)


def test_repr_tells_the_model_and_its_parts():
    model = TFNO((4, 4), 3, 1, 8, 2, positional_grid=False)
    operator = TrainedOperator(
        model, None, Standardizer(np.zeros((1, 1, 1, 1)), np.ones((1, 1, 1, 1))), MultigridPatches()
    )
    text = repr(operator)
    assert text.startswith("TrainedOperator(TFNO((4, 4), 3 -> 8 -> 1 channels, 2 layers, tucker")
    assert "outputs=Standardizer" in text
    assert "patches=MultigridPatches" in text
    assert "\n" not in text
