"""A stand-in for CuPy's NCCL over MPI: no tags, bytes at addresses, and strict about groups."""

from __future__ import annotations

import ctypes
import sys
from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

from mpi4py import MPI

calls: Counter[str] = Counter()
"""How often each function was called."""


class Group:
    """What is between groupStart and groupEnd."""

    requests: list[MPI.Request] | None = None


def start() -> None:
    assert Group.requests is None
    Group.requests = []


def end() -> None:
    assert Group.requests is not None
    MPI.Request.Waitall(Group.requests)
    Group.requests = None


def _bytes_at(address: int, count: int) -> Any:
    return (ctypes.c_ubyte * count).from_address(address)


def install(comm: MPI.Intracomm, *, available: bool = True, bus: str | None = None) -> None:
    """Put `cupy.cuda.nccl` into `sys.modules`; messages go over a duplicate of `comm`."""
    calls.clear()
    own = comm.Dup()

    class NcclCommunicator:
        def __init__(self, size: int, name: tuple[int, ...], rank: int) -> None:
            assert (size, rank, len(name)) == (own.size, own.rank, 128)
            assert set(name) == {-7}

        def send(self, address: int, count: int, dtype: int, peer: int, stream: int) -> None:
            calls["send"] += 1
            assert Group.requests is not None
            assert count > 0
            Group.requests.append(own.Isend([_bytes_at(address, count), MPI.BYTE], peer))

        def recv(self, address: int, count: int, dtype: int, peer: int, stream: int) -> None:
            calls["recv"] += 1
            assert Group.requests is not None
            Group.requests.append(own.Irecv([_bytes_at(address, count), MPI.BYTE], peer))

        def destroy(self) -> None:
            calls["destroy"] += 1

    nccl = ModuleType("cupy.cuda.nccl")
    nccl.__dict__.update(
        available=available,
        NCCL_UINT8=1,
        NcclCommunicator=NcclCommunicator,
        get_unique_id=lambda: (-7,) * 128,
        groupStart=start,
        groupEnd=end,
    )
    cuda = sys.modules["cupy"].cuda
    cuda.runtime = SimpleNamespace(
        getDeviceCount=lambda: 1, getDevice=lambda: 0, deviceGetPCIBusId=lambda device: bus or f"bus {own.rank}"
    )
    sys.modules["cupy.cuda"] = ModuleType("cupy.cuda")
    sys.modules["cupy.cuda.nccl"] = nccl
