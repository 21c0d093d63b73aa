"""Check that device arrays pass through pinned memory, or NCCL, and come out as device arrays, with the host's answer.

mpirun -n 3 python tests/mpi/programs/device.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
import stub_device
import stub_nccl
from mpi4py import MPI
from sabotage import private_communicator

import sci
from sci import distributed
from sci.distributed import reductions
from sci.errors import DeviceMismatchError, DeviceUnavailableError

cupy = stub_device.install()


def same(device: Any, host: Any) -> None:
    """Require a device array with the contents of a host array."""
    assert isinstance(device, stub_device.ndarray), type(device)
    assert device.dtype == host.dtype
    assert np.array_equal(device.get(), host)


def check_collectives(comm: MPI.Intracomm) -> None:
    x = np.random.default_rng(comm.rank).standard_normal((10, 3))
    on_device = cupy.asarray(x)
    for small in (reductions._SMALL_BYTES, 0):
        reductions._SMALL_BYTES = small
        same(distributed.allreduce_sum(on_device, comm), distributed.allreduce_sum(x, comm))
    same(distributed.allreduce_max(on_device, comm), distributed.allreduce_max(x, comm))
    same(distributed.reduce_scatter_rows(on_device, comm), distributed.reduce_scatter_rows(x, comm))
    rows = x[: comm.rank + 1].astype("f4")
    same(distributed.allgather_rows(cupy.asarray(rows), comm), distributed.allgather_rows(rows, comm))
    root = comm.rank == 0
    same(distributed.broadcast(on_device if root else None, comm), distributed.broadcast(x if root else None, comm))
    same(distributed.shard(cupy.asarray(np.arange(7)), comm, 0, "zigzag"), distributed.positions(7, comm, "zigzag"))
    part = distributed.shard(np.arange(7.0), comm, 0, "zigzag")
    same(distributed.unshard(cupy.asarray(part), comm, 0, "zigzag"), np.arange(7.0))
    moved = distributed.rearrange(part, "zigzag", "striped", comm)
    same(distributed.rearrange(cupy.asarray(part), "zigzag", "striped", comm), moved)


def check_grids(comm: MPI.Intracomm) -> None:
    d = distributed.block((8, 9), comm, halo=1)
    array = np.random.default_rng(comm.rank).standard_normal(d.padded_shape)
    same(distributed.exchange_halo(cupy.asarray(array), d, True), distributed.exchange_halo(array.copy(), d, True))
    for real in (True, False):
        fft = distributed.PencilFFT((4, 3, 5), comm, real=real, kind="pencil")
        grid = np.random.default_rng(comm.rank).standard_normal(fft.source.local_shape)
        spectrum = fft.forward(grid)
        same(fft.forward(cupy.asarray(grid)), spectrum)
        same(fft.inverse(cupy.asarray(spectrum)), fft.inverse(spectrum))


def check_staging(comm: MPI.Intracomm) -> None:
    from sci.distributed import staging

    x = cupy.asarray(np.arange(6.0).reshape(2, 3))
    stub_device.calls.clear()
    with sci.options(cuda_aware_mpi="off"):
        host = staging.to_buffer(x)
        assert isinstance(host, np.ndarray)
        assert stub_device.calls == ["alloc_pinned_memory", "get"]
        assert isinstance(staging.empty_buffer(cupy, (0, 3), "f8"), np.ndarray)
    stub_device.calls.clear()
    with sci.options(cuda_aware_mpi="on"):  # the buffer is the device array itself, once the stream is idle
        assert np.shares_memory(staging.to_buffer(x)._hidden, x._hidden)
        assert isinstance(staging.empty_buffer(cupy, (2, 3), "f8"), stub_device.ndarray)
        assert stub_device.calls == ["synchronize", "synchronize"]
    try:
        cupy.add(x, np.ones((2, 3)))
    except TypeError:
        pass
    else:
        raise AssertionError("the stand-in mixes host and device arrays")
    try:
        sci.backend.namespace(x, np.ones(2))
    except DeviceMismatchError:
        return
    raise AssertionError("the stand-in does not pass for a device array")


def check_nccl(comm: MPI.Intracomm) -> None:
    """The same answers through NCCL, with no array staged; a clear error on all ranks where it cannot be."""
    fresh = comm.Dup()
    stub_nccl.install(fresh, available=fresh.rank != fresh.size - 1)
    array = cupy.asarray(np.arange(4.0))
    with sci.options(nccl="on"):
        assert "finds no NCCL" in unavailable(fresh, array)
        stub_nccl.install(fresh, bus="the same")
        assert f"ranks 0 and {fresh.size - 1} share a GPU" in unavailable(fresh, array) or fresh.size > 2
        stub_nccl.install(fresh)
        stub_device.calls.clear()
        check_collectives(fresh)
        assert "alloc_pinned_memory" not in stub_device.calls
        check_grids(fresh)
        rows = distributed.alltoall([cupy.asarray(np.full(r + 1, fresh.rank)) for r in range(fresh.size)], comm=fresh)
        assert [row.get().tolist() for row in rows] == [[r] * (fresh.rank + 1) for r in range(fresh.size)]
        host = np.zeros(3)
        try:
            distributed.allreduce_sum(host if fresh.rank else cupy.asarray(host), fresh)
        except DeviceMismatchError:
            pass
        else:
            raise AssertionError("one rank's device array was summed with the others' host arrays")
        assert np.array_equal(distributed.allreduce_sum(host, fresh), host)
    assert min(stub_nccl.calls["send"], stub_nccl.calls["recv"]) > 10, stub_nccl.calls
    fresh.Free()
    assert stub_nccl.calls["destroy"] == 1


def unavailable(comm: MPI.Intracomm, array: Any) -> str:
    try:
        distributed.allreduce_sum(array, comm)
    except DeviceUnavailableError as error:
        return str(error)
    raise AssertionError("NCCL was found")


def main() -> None:
    comm = private_communicator()
    with distributed.abort_on_error(comm):
        check_collectives(comm)
        check_grids(comm)
        check_staging(comm)
        if comm.size > 1:
            check_nccl(comm)
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
