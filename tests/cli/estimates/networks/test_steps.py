"""A training is told from steps on few samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sci.cli.estimates.networks import steps
from sci.cli.estimates.networks.steps import FEW, peak_of_steps, seconds_of_steps
from sci.cli.estimates.trial import Trial


def test_seconds_are_those_of_all_batches_of_all_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def attempt(action, memory: bool = False) -> Trial:
        action()
        return Trial(2.0 + 3.0 * taken[-1], 0.0, None)

    monkeypatch.setattr(steps, "attempt", attempt)
    assert math.isclose(seconds_of_steps(taken.append, 10, 4, epochs=7), 7 * 3 * (2 + 3 * 4))
    assert taken[0] == FEW, "a first step that does not count loads kernels"
    assert math.isclose(seconds_of_steps(taken.append, 10, 4, ranks=2), 3 * (2 + 3 * 2))
    assert math.isclose(seconds_of_steps(taken.append, 3, 8), 2 + 3 * 3)
    assert math.isclose(seconds_of_steps(taken.append, 10, 4, ranks=16), 3 * (2 + 3 * 1))


def test_the_peak_is_that_of_a_batch_of_one_process() -> None:
    def step(n: int) -> None:
        assert np.ones(n * 1_000_000).all()

    assert 32e6 <= peak_of_steps(step, 10, 4) < 33e6
    assert 16e6 <= peak_of_steps(step, 10, 4, ranks=2) < 17e6
    assert 24e6 <= peak_of_steps(step, 3, 8) < 25e6
