"""Recorded work, on the stand-in for CuPy: one launch, and nothing in it that waits."""

from __future__ import annotations

import sys
from typing import Any

import fake_cupy
import numpy as np
import pytest

from sci.backend.graph import RecordedWork, planned_transform


@pytest.fixture
def planned(monkeypatch):
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "cupyx.scipy.fft", fake_cupy.transforms())
    return module


def test_nothing_that_waits_is_recorded(planned):
    values = planned.asarray(np.arange(4.0))
    for waits in (lambda: float(values.sum()), lambda: planned.asarray(np.ones(2)), lambda: planned.argsort(values)):
        work = RecordedWork(waits, planned)
        assert "capturing" in str(work.refused)
        work.replay()
    out = planned.empty(4)

    def double() -> Any:
        planned.add(values, values, out=out)
        return (out * out).sum(axis=0)

    work = RecordedWork(double, planned)
    assert work.refused is None
    values[...] = planned.asarray(np.array([1.0, 1.0, 2.0, 0.0]))
    with fake_cupy.counting() as asked:
        work.replay()
    assert asked == {"launches": 1}
    assert float(work.results) == 24.0
    with pytest.raises(ZeroDivisionError):
        RecordedWork(lambda: 1 // 0, planned)


def test_plans_are_of_the_real_side(planned):
    with planned_transform(planned.empty((4, 6, 8)), (4, 6, 8), "R2C"):
        pass
    with planned_transform(planned.empty((4, 6, 5), dtype=complex), (4, 6, 8), "C2R"):
        pass
