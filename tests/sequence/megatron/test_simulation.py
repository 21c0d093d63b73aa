"""The simulated bubble and memory of pipeline schedules against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_messages_cost_time():
    schedule = pipeline_schedule("1f1b", 4, 8)
    assert simulate(schedule, message=0.1).makespan >= simulate(schedule).makespan + 6 * 0.1


def test_a_schedule_that_hangs_is_refused():
    with pytest.raises(InvalidValueError, match="rank 0 waits for ever"):
        simulate(((PipelineStep(False, 0, 0), PipelineStep(True, 0, 0)),))
