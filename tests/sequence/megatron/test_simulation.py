"""The simulated bubble and memory of pipeline schedules against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.errors import InvalidValueError
from sci.sequence import (
    PipelineStep,
    pipeline_bubble,
    pipeline_schedule,
    simulate,
)

CASES = [
    *[("gpipe", p, m, 1) for p, m in ((1, 3), (4, 8), (4, 2))],
    *[("1f1b", p, m, 1) for p, m in ((1, 1), (4, 8), (4, 2), (8, 32), (64, 512))],
    *[("interleaved", p, m, v) for p, m, v in ((4, 8, 2), (8, 32, 4), (4, 4, 2), (2, 8, 3), (1, 3, 2))],
]


@pytest.mark.parametrize(("kind", "p", "m", "v"), CASES)
def test_the_simulated_bubble_is_the_formula(kind, p, m, v):
    found = simulate(pipeline_schedule(kind, p, m, v), 1.0, 2.0)
    np.testing.assert_allclose(found.bubble, pipeline_bubble(p, m, v), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.makespan, 3 * m * (1 + (p - 1) / (v * m)), rtol=1e-12)


@pytest.mark.parametrize(("p", "m"), [(4, 8), (8, 32), (4, 2)])
def test_peaks_of_gpipe_and_1f1b(p, m):
    assert simulate(pipeline_schedule("gpipe", p, m)).peak == (m,) * p
    assert simulate(pipeline_schedule("1f1b", p, m)).peak == tuple(min(m, p - r) for r in range(p))


@pytest.mark.parametrize(("p", "v", "expected"), [(4, 2, 5.5), (8, 4, 9.75)])
def test_peak_of_interleaved(p, v, expected):
    assert simulate(pipeline_schedule("interleaved", p, 4 * p, v)).peak[0] == expected == p * (1 + (p - 1) / (p * v))


@given(
    st.sampled_from([("zb-h1", 1), ("zb-h2", 2)]),
    st.integers(1, 6),
    st.integers(0, 9),
    st.floats(1.0, 3.0),
    st.floats(0.0, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_zero_bubble_is_the_formula(schedule, p, more, backward, weight):
    """The last rank starts p - 1 forward passes late; the rest of the bubble is what W does not fill."""
    kind, delay = schedule
    m = delay * (p - 1) + 1 + more
    found = simulate(pipeline_schedule(kind, p, m), 1.0, backward, weight=weight)
    expected = pipeline_bubble(p, m, kind=kind, backward=backward, weight=weight)
    np.testing.assert_allclose(found.bubble, expected, rtol=1e-9, atol=1e-12)
    own = (p - 1) * max(0.0, 1 + backward - (1 + delay) * weight) / (m * (1 + backward))
    np.testing.assert_allclose(found.own_bubble, own, rtol=1e-9, atol=1e-12)
    assert found.peak == (delay * (p - 1) + 1,) * p


def test_equal_passes_leave_a_third_of_the_bubble_and_none_between_steps():
    plain, first, second = (simulate(pipeline_schedule(kind, 4, 8)) for kind in ("1f1b", "zb-h1", "zb-h2"))
    assert (plain.bubble, first.bubble, second.bubble) == (0.375, 0.125, 0.125)
    assert (plain.own_bubble, first.own_bubble, second.own_bubble) == (0.375, 0.125, 0.0)
    assert (plain.peak[0], first.peak[0], second.peak[0]) == (4, 4, 7)


def test_where_there_is_no_formula_and_no_time():
    for wrong in ({"microbatches": 3}, {"weight": 1.5}, {"chunks": 2}):
        with pytest.raises(InvalidValueError, match="has no formula; expected 4 microbatches"):
            pipeline_bubble(4, **{"microbatches": 8, **wrong}, kind="zb-h1")
    for wrong in ({"weight": 2.5}, {"forward": -1.0}):
        with pytest.raises(InvalidValueError, match="expected times of 0 or more, and a weight within backward"):
            simulate(pipeline_schedule("zb-h1", 2, 2), **wrong)


def test_messages_cost_time():
    schedule = pipeline_schedule("1f1b", 4, 8)
    assert simulate(schedule, message=0.1).makespan >= simulate(schedule).makespan + 6 * 0.1


def test_a_schedule_that_hangs_is_refused():
    with pytest.raises(InvalidValueError, match="rank 0 waits for ever"):
        simulate(((PipelineStep("backward", 0, 0), PipelineStep("forward", 0, 0)),))
