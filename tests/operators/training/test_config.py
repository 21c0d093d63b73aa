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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 0}, "epochs is 0; expected a positive integer"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"learning_rate": 1e30}, "learning_rate is 1e\\+30; expected a number above 0, at most 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"weight_decay": 125.0}, "weight_decay is 125; expected a number from 0 to below 1 / learning_rate = 125"),
        ({"weight_decay": -1.0}, "weight_decay is -1"),
        ({"horizon": 0.0}, "horizon is 0"),
    ],
)
def test_numbers_that_train_nothing_are_refused(options, said):
    with pytest.raises(InvalidValueError, match=said):
        TrainingConfig(loss="l2", **options)
