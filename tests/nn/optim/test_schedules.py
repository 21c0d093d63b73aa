"""Schedules at their marks."""

from __future__ import annotations

import pytest

from sci.errors import InvalidValueError
from sci.nn import constant, cosine, step_decay, warm_up


def test_schedules():
    assert constant(0.3)(7) == 0.3
    halves = step_decay(100)
    assert [halves(t) for t in (0, 99.9, 100, 250)] == [1, 1, 0.5, 0.25]
    assert [step_decay([2, 5], 0.1)(t) for t in (1, 2, 4.5, 5)] == pytest.approx([1, 0.1, 0.1, 0.01])
    wave = cosine(30, 0.1)
    assert [wave(t) for t in (0, 15, 30, 99)] == pytest.approx([1, 0.55, 0.1, 0.1])
    rising = warm_up(4, cosine(8))
    assert [rising(t) for t in (0, 1, 4, 8)] == pytest.approx([0, 0.25 * cosine(8)(1), 0.5, 0])
    for bad in (lambda: step_decay(0), lambda: cosine(-1), lambda: warm_up(0)):
        with pytest.raises(InvalidValueError, match="positive number"):
            bad()
