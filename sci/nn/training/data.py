"""The samples of a training: datasets, their order, and batches that a thread reads ahead."""

from __future__ import annotations

import functools
import hashlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.errors import ShapeError

__all__ = ["Arrays", "Dataset", "Order", "ReadAhead", "digest"]


class Dataset(Protocol):
    """Samples that are loaded by their numbers.

    Notes
    -----
    `sci.nn.train(..., prefetch=)` calls it from a thread of its own, one call at a time, in the order of the steps.

    Examples
    --------
    >>> import numpy as np
    >>> class Squares:
    ...     def __len__(self):
    ...         return 8
    ...     def __getitem__(self, indices):
    ...         return indices.astype(float) ** 2
    >>> Squares()[np.arange(3)]
    array([0., 1., 4.])
    """

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, indices: np.ndarray) -> Any:
        """Return the batch of the samples `indices`, as the loss takes it."""


@dataclass(frozen=True)
class Arrays:
    """A dataset of arrays with one first length; a batch is the tuple of their rows."""

    arrays: tuple[Array, ...]

    def __post_init__(self) -> None:
        lengths = [len(a) for a in self.arrays]
        if len(set(lengths)) != 1:
            raise ShapeError(f"data arrays of lengths {lengths}; expected one or more of one length")

    def __repr__(self) -> str:
        return f"Arrays({len(self.arrays)} arrays of {len(self)} samples)"

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, indices: np.ndarray) -> tuple[Array, ...]:
        return tuple(a[to_device(indices, namespace(a))] for a in self.arrays)


@dataclass(frozen=True)
class Order:
    """The samples of each batch, a function of the seed and the step alone."""

    n_samples: int
    batch_size: int
    seed: int
    shuffle: bool

    @property
    def steps(self) -> int:
        """Steps per epoch; the last batch may be smaller."""
        return -(-self.n_samples // self.batch_size)

    def count(self, step: int) -> int:
        """Return the number of samples of a step."""
        return min(self.batch_size, self.n_samples - step % self.steps * self.batch_size)

    def batch(self, step: int) -> np.ndarray:
        """Return the numbers of the samples of a step, from 0."""
        epoch, k = divmod(step, self.steps)
        here = slice(k * self.batch_size, (k + 1) * self.batch_size)
        if not self.shuffle:
            return np.arange(self.n_samples)[here]
        return _permutation(self.seed, epoch, self.n_samples)[here]


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(n)


class ReadAhead:
    """What a function returns for the steps of a range, computed ahead in a thread: a context manager.

    Parameters
    ----------
    load : callable
        `load(step)`; called in the thread, or by `take` where nothing is read ahead.
    steps : range
    ahead : int
        Results that wait at most; 0 starts no thread.

    Notes
    -----
    An error of `load` is raised by `take` at its step. When the context is left, by an error or an interrupt too, the
    thread ends after the call it is in, and is waited for.
    """

    def __init__(self, load: Callable[[int], Any], steps: range, ahead: int) -> None:
        self._load, self._steps = load, steps
        self._queue: queue.Queue[tuple[Any, BaseException | None]] | None = queue.Queue(ahead) if ahead else None
        self._left = threading.Event()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"ReadAhead({self._steps}, {self._queue.maxsize if self._queue else 0} ahead)"

    def __enter__(self) -> ReadAhead:
        if self._queue is not None:
            self._thread = threading.Thread(target=self._run, name="sci read ahead", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._thread is not None:
            self._thread.join()

    def take(self, step: int) -> Any:
        """Return `load(step)`; the steps are taken in their order."""
        if self._queue is None:
            return self._load(step)
        found, error = self._queue.get()
        if error is not None:
            raise error
        return found

    def _run(self) -> None:
        for step in self._steps:
            try:
                found, error = self._load(step), None
            except BaseException as raised:
                found, error = None, raised
            if not self._put((found, error)) or error is not None:
                return

    def _put(self, item: tuple[Any, BaseException | None]) -> bool:
        """Wait for a place in the queue; false once the context is left."""
        assert self._queue is not None
        while not self._left.is_set():
            try:
                self._queue.put(item, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False


def digest(*arrays: Array) -> str:
    """Return a number, in hexadecimal, that other arrays do not have: of shapes, dtypes and all values."""
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        host = np.ascontiguousarray(to_host(array))
        found.update(f"{host.shape} {host.dtype.str}".encode())
        found.update(host.data)
    return found.hexdigest()
