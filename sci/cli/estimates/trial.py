"""A small piece of the work, done for real: its seconds and the memory that it takes."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sci.kernels import host_threads
from sci.options import options

__all__ = ["Trial", "attempt", "line"]


@dataclass(frozen=True)
class Trial:
    """What a piece of work took.

    Parameters
    ----------
    seconds : float
    peak : float
        Bytes at the peak, beyond what was held before.
    result : object
    """

    seconds: float
    peak: float
    result: Any


def attempt(action: Callable[[], Any], repeats: int = 1, *, memory: bool = False) -> Trial:
    """Do a piece of work and return what it took; of several runs the least time.

    On one thread CPU time is told, which other jobs on this machine do not change. Watching the memory makes Python
    slower, and array calls not.
    """
    clock = time.process_time if host_threads() == 1 else time.perf_counter
    least, peak, result = float("inf"), 0.0, None
    with options(progress="off"), _traced() if memory else contextlib.nullcontext():
        for _ in range(repeats):
            before = _held()
            start = clock()
            result = action()
            least = min(least, clock() - start)
            peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
    return Trial(least, peak if memory else 0.0, result)


def _held() -> float:
    """Return the bytes in use, and begin to watch for their peak."""
    if tracemalloc.is_tracing():
        tracemalloc.reset_peak()
    return float(tracemalloc.get_traced_memory()[0])


@contextlib.contextmanager
def _traced() -> Iterator[None]:
    """Watch the memory, unless somebody does already."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        yield
    finally:
        if not tracing:
            tracemalloc.stop()


def line(small: float, large: float, ratio: float, at: float) -> float:
    """Return the value at `at` of the line through `small` at 1 and `large` at `ratio`; at least that at 1."""
    slope = max(0.0, (large - small) / (ratio - 1))
    return small + slope * (at - 1)
