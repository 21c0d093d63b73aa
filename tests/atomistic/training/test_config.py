"""Settings of a training: what is refused, and what a resumed one shares."""

from __future__ import annotations

import pytest

from sci.atomistic import PotentialTraining
from sci.errors import InvalidValueError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"learning_rate": 2.0}, "learning_rate"),
        ({"force_weight": -1.0}, "weights"),
        ({"energy_weight": 0.0, "force_weight": 0.0, "stress_weight": 0.0}, "not all 0"),
        ({"horizon": 0.0}, "horizon"),
        ({"average": 1.0}, "average"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(InvalidValueError, match=words):
        PotentialTraining(**options)


def test_a_resumed_training_may_be_longer():
    one, two = PotentialTraining(epochs=5, horizon=9.0), PotentialTraining(epochs=9, patience=3)
    assert one.fixed() == two.fixed()
    assert one.fixed() != PotentialTraining(epochs=9, stress_weight=0.0).fixed()
