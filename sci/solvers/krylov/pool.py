"""Workspaces that are lent to one call at a time, so that an instance serves several threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

__all__ = ["Lending"]

T = TypeVar("T")


class Lending(ABC, Generic[T]):
    """Instances that lend workspaces, which they keep. Pickling leaves them out.

    A subclass makes a workspace with `new_cycle`.
    """

    def __init__(self) -> None:
        self._idle: deque[T] = deque()

    @abstractmethod
    def new_cycle(self) -> T:
        """Return a new workspace with arrays of its own; collective on ranks."""

    @contextmanager
    def workspace(self) -> Iterator[T]:
        """Lend a workspace, for the time of a `with` block."""
        # Other threads may take the last one between a test and the pop.
        try:
            cycle = self._idle.pop()
        except IndexError:
            cycle = self.new_cycle()
        try:
            yield cycle
        finally:
            self._idle.append(cycle)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_idle"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._idle = deque()
