"""Trials tell time and memory, and lines through two of them what lies beyond."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np

from sci.cli.estimates.trial import attempt, line


def test_a_trial_tells_time_memory_and_the_result() -> None:
    def work() -> int:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return int(np.ones(2_000_000).size)

    found = attempt(work, memory=True)
    assert 0.04 < found.seconds < 0.5
    assert 16e6 <= found.peak < 17e6
    assert found.result == 2_000_000
    assert not tracemalloc.is_tracing()


def test_memory_is_told_only_if_asked_and_a_watcher_is_left_alone() -> None:
    assert attempt(lambda: np.ones(1_000_000)).peak == 0.0
    tracemalloc.start()
    try:
        assert attempt(lambda: np.ones(1_000_000), memory=True).peak >= 8e6
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_the_least_of_several_runs_counts() -> None:
    waits = iter([0.1, 0.0])

    def work() -> None:
        end = time.process_time() + next(waits)
        while time.process_time() < end:
            pass

    assert attempt(work, 2).seconds < 0.05


def test_a_line_never_falls() -> None:
    assert line(1.0, 3.0, 3.0, 5.0) == 5.0
    assert line(2.0, 1.0, 3.0, 100.0) == 2.0
