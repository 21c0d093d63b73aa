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


def test_schedules_print_as_the_call_that_made_them():
    made = {
        "warm_up(4, cosine(8, 0.1))": warm_up(4, cosine(8, 0.1)),
        "step_decay((2, 5), 0.5)": step_decay([2, 5]),
        "step_decay(10, 0.1)": step_decay(10, 0.1),
        "warm_up(3, constant(1))": warm_up(3),
    }
    assert [repr(schedule) for schedule in made.values()] == list(made)


def test_times_that_are_no_numbers_are_refused():
    for bad in (lambda: step_decay(float("nan")), lambda: cosine(float("nan")), lambda: warm_up(float("nan"))):
        with pytest.raises(InvalidValueError, match="is nan; expected a real number"):
            bad()
