"""Ranks as threads of one process: the real code over a small communicator that counts and checks every message.

A stand-in for mpi4py that is exact about what MPI promises: messages between two ranks under one tag keep their order,
a receive gets exactly the elements that were sent, a collective returns when all ranks have come. It makes property
tests over rank counts cost milliseconds; tests/mpi runs the same operations under mpirun.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

import numpy as np

from sci.distributed import communicators
from sci.distributed.communicators import Channel

PATIENCE = 20.0
T = TypeVar("T")


class World:
    """What the ranks share."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.mail: dict[tuple[int, int, int], queue.Queue[np.ndarray]] = defaultdict(queue.Queue)
        self.lock = threading.Lock()
        self.barrier = threading.Barrier(size, timeout=PATIENCE)
        self.slots: list[Any] = [None] * size
        self.sent: Counter[int] = Counter()
        self.bytes: Counter[int] = Counter()

    def box(self, source: int, target: int, tag: int) -> queue.Queue[np.ndarray]:
        with self.lock:
            return self.mail[source, target, tag]


class Request:
    """A receive that completes on waiting; sends are complete at once, their data copied."""

    def __init__(self, finish: Callable[[], None] = lambda: None) -> None:
        self.finish = finish

    @staticmethod
    def Testall(requests: list[Request]) -> bool:
        """Return True: every send is complete."""
        return True

    @staticmethod
    def Waitall(requests: list[Request]) -> None:
        for request in requests:
            request.finish()


class ThreadComm:
    """One rank's view of the world."""

    def __init__(self, world: World, rank: int) -> None:
        self.world, self.rank, self.size = world, rank, world.size
        self.channel = Channel(self, world.size, rank)

    def Get_size(self) -> int:
        return self.size

    def Get_rank(self) -> int:
        return self.rank

    def Get_attr(self, keyval: int) -> Channel:
        return self.channel

    def Isend(self, array: np.ndarray, peer: int, tag: int) -> Request:
        assert array.flags.c_contiguous
        self.world.sent[self.rank] += 1
        self.world.bytes[self.rank] += array.nbytes
        self.world.box(self.rank, peer, tag).put(array.copy())
        return Request()

    def Irecv(self, array: np.ndarray, peer: int, tag: int) -> Request:
        def finish() -> None:
            found = self.world.box(peer, self.rank, tag).get(timeout=PATIENCE)
            assert (found.dtype, found.size) == (array.dtype, array.size)
            array.reshape(-1)[...] = found.reshape(-1)

        return Request(finish)

    def _all(self, value: Any) -> list[Any]:
        """Return what every rank passed, once all have."""
        self.world.slots[self.rank] = value
        self.world.barrier.wait()
        found = list(self.world.slots)
        self.world.barrier.wait()
        return found

    def Allgather(self, sent: np.ndarray, received: np.ndarray) -> None:
        received.reshape(-1)[...] = np.concatenate([a.reshape(-1) for a in self._all(sent.copy())])

    def Allgatherv(self, sent: np.ndarray, received: list[Any]) -> None:
        parts = self._all(sent.copy())
        assert [part.size for part in parts] == list(received[1])
        received[0].reshape(-1)[...] = np.concatenate([part.reshape(-1) for part in parts])

    def Alltoall(self, sent: np.ndarray, received: np.ndarray) -> None:
        received[...] = np.stack([rows[self.rank] for rows in self._all(sent.copy())])

    def Bcast(self, array: np.ndarray, root: int) -> None:
        found = self._all(array.copy())[root]
        if self.rank != root:
            array[...] = found


def on_ranks(size: int, body: Callable[[ThreadComm], T]) -> list[T]:
    """Run `body` on `size` ranks and return what each returned; no message may be left over.

    The counts of `sci.distributed.traffic` for messages between two ranks are compared with what was really sent.
    """
    world = World(size)
    comms = [ThreadComm(world, rank) for rank in range(size)]
    results: list[Any] = [None] * size
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            results[rank] = body(comms[rank])
        except BaseException as error:
            errors.append(error)
            world.barrier.abort()

    stub = ModuleType("mpi4py")
    stub.MPI = SimpleNamespace(Intracomm=ThreadComm, COMM_NULL=None)  # type: ignore[attr-defined]
    with mock.patch.dict(sys.modules, {"mpi4py": stub}), mock.patch.object(communicators, "_keyval", return_value=0):
        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    first = [e for e in errors if not isinstance(e, threading.BrokenBarrierError)]
    if errors:
        raise (first or errors)[0]
    assert all(box.empty() for box in world.mail.values()), "a message was sent that nobody expects"
    return results
