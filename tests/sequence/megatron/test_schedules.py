"""Pipeline schedules: every pass once, in an order that ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.errors import InvalidValueError
from sci.sequence import (
    PipelineStep,
    pipeline_schedule,
    simulate,
)


@given(
    st.sampled_from(["gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"]),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(1, 4),
)
@settings(max_examples=80, deadline=None)
def test_every_schedule_runs_each_pass_once_and_ends(kind, p, groups, v):
    chunks = v if kind == "interleaved" else 1
    schedule = pipeline_schedule(kind, p, groups * p, chunks)
    kinds = ("forward", "input", "weight") if kind.startswith("zb") else ("forward", "backward")
    expected = {PipelineStep(f, c, m) for f in kinds for c in range(chunks) for m in range(groups * p)}
    for steps in schedule:
        assert len(steps) == len(expected)
        assert set(steps) == expected
    assert simulate(schedule, 1.0, 2.0, 0.25).makespan >= simulate(schedule).makespan


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("2f2b", 2, 2), "expected one of 'gpipe'"),
        (("1f1b", 0, 2), "1 or more"),
        (("1f1b", 2, 2, 2), "expected 'interleaved'"),
        (("interleaved", 4, 6, 2), "a multiple"),
    ],
)
def test_bad_schedules(arguments, text):
    with pytest.raises(InvalidValueError, match=text):
        pipeline_schedule(*arguments)
