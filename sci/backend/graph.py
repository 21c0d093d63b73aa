"""Work of a device that is recorded once and launched as one: a graph of CUDA, through CuPy."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from sci.backend import Array

__all__ = ["RecordedWork", "planned_transform"]


class RecordedWork:
    """What a function asks of a device, recorded as a graph and replayed by one launch.

    Parameters
    ----------
    work : callable without arguments
        Reads and writes the same arrays each time, and waits for nothing: a copy to or from the host is an error while
        it is recorded. It is called twice, so that kernels are compiled and memory is taken before.
    xp : module
        CuPy.

    Attributes
    ----------
    results
        What `work` returned: arrays that each replay writes to.
    refused : Exception or None
        Why the device recorded nothing; a replay then calls `work`, and `results` are new ones.
    """

    def __init__(self, work: Callable[[], Any], xp: ModuleType) -> None:
        self._work, self._graph = work, None
        self.refused: Exception | None = None
        stream, self._pool = xp.cuda.Stream(non_blocking=True), xp.cuda.MemoryPool()
        xp.cuda.get_current_stream().synchronize()  # what the work reads may still be written there
        # Memory of the graph is of a pool of its own, from which nobody else takes any.
        with xp.cuda.using_allocator(self._pool.malloc), stream:
            work()
            stream.synchronize()
            stream.begin_capture()
            failure: Exception | None = None
            try:
                self.results = work()
            except Exception as error:
                failure = error
            try:
                graph = stream.end_capture()
            except xp.cuda.runtime.CUDARuntimeError as error:  # an older driver, or work that no graph holds
                self.refused = failure or error
            else:
                if failure is not None:
                    raise failure
                self._graph = graph

    def __repr__(self) -> str:
        return "RecordedWork(one launch)" if self._graph else f"RecordedWork(launch by launch: {self.refused})"

    def replay(self) -> None:
        """Do the work again, in the present stream."""
        if self._graph is None:
            self.results = self._work()
        else:
            self._graph.launch()


def planned_transform(array: Array, shape: tuple[int, ...], kind: str) -> contextlib.AbstractContextManager[Any]:
    """Return the context in which CuPy transforms arrays like this one by a plan that is made now, and kept with it.

    Parameters
    ----------
    array : array
        Of the input, on a device; C-contiguous, 3 axes.
    shape : (n1, n2, n3)
        Of the real side.
    kind : "R2C" or "C2R"

    Returns
    -------
    context manager
        To be entered again and again.
    """
    plan: contextlib.AbstractContextManager[Any] = importlib.import_module("cupyx.scipy.fft").get_fft_plan(
        array, shape, (0, 1, 2), kind
    )
    return plan
