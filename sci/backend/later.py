"""Checks of what a device found: at once, or after the work that is being recorded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import numpy as np

from sci.backend import Array, to_host

__all__ = ["Checks", "checks_later", "refuse_by"]

_OPEN = threading.local()


class Checks:
    """Checks that wait for the device: `run` makes them, each with the numbers that it has then."""

    def __init__(self) -> None:
        self._all: list[tuple[Array, Callable[[np.ndarray], None]]] = []

    def __repr__(self) -> str:
        return f"Checks({len(self._all)} to make)"

    def add(self, flags: Array, refuse: Callable[[np.ndarray], None]) -> None:
        """Let `refuse` see the numbers of `flags`, on the host, in every `run`."""
        self._all.append((flags, refuse))

    def run(self) -> None:
        """Make all checks; one raises what it refuses."""
        for flags, refuse in self._all:
            refuse(to_host(flags))


@contextlib.contextmanager
def checks_later() -> Iterator[Checks]:
    """Let the checks that this thread asks for in the block wait, for work that a graph records waits for nothing."""
    before, checks = getattr(_OPEN, "checks", None), Checks()
    _OPEN.checks = checks
    try:
        yield checks
    finally:
        _OPEN.checks = before


def refuse_by(flags: Array, refuse: Callable[[np.ndarray], None]) -> None:
    """Call `refuse` with the numbers of `flags` on the host, now or as `checks_later` says.

    Parameters
    ----------
    flags : array
        Few numbers, on the host or on a device.
    refuse : callable
        Raises if they say so.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.backend.later import checks_later, refuse_by
    >>> with checks_later() as checks:
    ...     refuse_by(np.array([0, 1]), lambda found: print(found))
    >>> checks.run()
    [0 1]
    """
    checks = getattr(_OPEN, "checks", None)
    if checks is None:
        refuse(to_host(flags))
    else:
        checks.add(flags, refuse)
