"""Settings of a training: refusals, and what must stay when it goes on."""

from __future__ import annotations

import json

import pytest

from sci.errors import InvalidValueError
from sci.operators import TrainingConfig


def test_bad_settings_are_refused():
    with pytest.raises(InvalidValueError, match="loss is 'l1'"):
        TrainingConfig(loss="l1", periodic=True)
    with pytest.raises(InvalidValueError, match="periodic=True or False"):
        TrainingConfig()
    assert TrainingConfig(loss="l2").periodic is None


def test_what_is_fixed_is_all_but_epochs_under_one_horizon():
    one, other = TrainingConfig(epochs=3, loss="l2"), TrainingConfig(epochs=6, horizon=3, loss="l2")
    assert one.fixed() == other.fixed()
    assert one.fixed() != TrainingConfig(epochs=6, loss="l2").fixed()
    assert json.loads(json.dumps(one.fixed())) == one.fixed()
