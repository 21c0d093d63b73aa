"""NCCL is an option: when it is taken, and what is said where it cannot be. tests/mpi runs it on a stand-in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

import sci
from sci.distributed import nccl as module
from sci.distributed.communicators import channel_of
from sci.errors import DeviceUnavailableError


def _cupy(bus: str) -> SimpleNamespace:
    runtime = SimpleNamespace(getDevice=lambda: 0, deviceGetPCIBusId=lambda device: bus)
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))


def test_only_device_arrays_with_the_option_go_through_nccl() -> None:
    with sci.options(nccl="on"):
        assert module.through_nccl(_cupy("a"))
        assert not module.through_nccl(np)
    assert not module.through_nccl(_cupy("a"))


def test_without_nccl_every_rank_says_how_to_go_on() -> None:
    def body(comm: ThreadComm) -> None:
        with pytest.raises(DeviceUnavailableError, match="nccl='off'"):
            module.exchange_on_devices(channel_of(comm), [], [], _cupy(f"bus {comm.rank}"))

    on_ranks(2, body)


def test_two_ranks_on_one_device_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "nccl", lambda: SimpleNamespace(get_unique_id=lambda: (0,) * 128))

    def body(comm: ThreadComm) -> None:
        with pytest.raises(DeviceUnavailableError, match="ranks 0 and 2 share a GPU"):
            module.exchange_on_devices(channel_of(comm), [], [], _cupy("bus 0" if comm.rank != 1 else "bus 1"))

    on_ranks(3, body)
