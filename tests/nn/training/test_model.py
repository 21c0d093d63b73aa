"""Plain states of models and trainings, and a class of one's own in a file."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError
from sci.nn import Checkpoint, ModelState


def test_models_and_checkpoints_refuse_what_files_cannot_hold():
    w = np.ones(2)
    for make, error, message in (
        (lambda: ModelState("FNO", {}, {"a/b": w}), InvalidValueError, "without '/'"),
        (lambda: ModelState("FNO", {}, {".": w}), InvalidValueError, "'.'"),
        (lambda: ModelState("FNO", {"f": w}, {}), InvalidValueError, "as JSON"),
        (lambda: ModelState("FNO", {"f": (1, 2)}, {}), InvalidValueError, "changes when written as JSON"),
        (lambda: ModelState("FNO", {"f": float("nan")}, {}), InvalidValueError, "as JSON"),
        (lambda: ModelState("FNO", {}, {"a": np.arange(3)}), DTypeError, "'a' has dtype int64"),
        (
            lambda: ModelState("FNO", {}, {"a": [1.0]}),
            DTypeError,
            r"parameters\['a\.0'\] is 1\.0, a float; expected an array",
        ),
        (lambda: Checkpoint(2, {"w": w}, {}, np.zeros(1)), InvalidValueError, "with 1 losses"),
    ):
        with pytest.raises(error, match=message):
            make()


def test_states_print_sizes_and_no_numbers():
    state = ModelState("line", {"degree": 1}, {"slope": np.ones((100, 20))})
    assert repr(state) == "ModelState('line', options=['degree'], 2,000 parameters)"
    checkpoint = Checkpoint(2, {"w": np.ones(3)}, {}, np.array([0.5, 0.25]), {"l2": np.ones(1)})
    assert repr(checkpoint) == "Checkpoint(step=2, 3 parameters, metrics=['l2'], last loss 2.500e-01)"
