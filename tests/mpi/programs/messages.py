"""Check shifts round a ring, all-to-all exchange and sends, with messages that no eager buffer swallows.

mpirun -n 3 python tests/mpi/programs/messages.py
"""

from __future__ import annotations

import numpy as np
import stub_device
from mpi4py import MPI
from sabotage import private_communicator

from sci import distributed
from sci.distributed import Traffic, alltoall, exchange, recv, send, shift
from sci.errors import DeviceMismatchError, DTypeError, InvalidValueError, SciError, ShapeError

LARGE = 1_500_000  # float64: 12 MB, far above every eager limit


def data(rank: int, shape: tuple[int, ...], dtype: str = "f8") -> np.ndarray:
    """Return what `rank` sends."""
    return (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 100 + 7 * rank).astype(dtype)


def check_shift(comm: MPI.Intracomm) -> None:
    n, rank = comm.size, comm.rank
    for dtype in ("f8", "f4", "f2", "c16", "i4", "?", ">f8"):
        for step in (1, -1, 2, 5, -3):
            got = shift(data(rank, (3, 5), dtype), step, comm=comm).wait()
            assert got.dtype == np.dtype(dtype).newbyteorder("="), dtype
            assert np.array_equal(got, data((rank - step) % n, (3, 5), dtype)), (dtype, step)
    large = shift(data(rank, (LARGE,)), comm=comm)
    assert np.array_equal(large.wait(), data((rank - 1) % n, (LARGE,)))
    assert large.wait() is large.wait()
    strided = data(rank, (8, 6))[::2, ::3]
    assert np.array_equal(shift(strided, comm=comm).wait(), data((rank - 1) % n, (8, 6))[::2, ::3])


def check_both_directions_at_once(comm: MPI.Intracomm) -> None:
    """On two ranks the next and the previous are the same: only the tag tells the messages apart."""
    n, rank = comm.size, comm.rank
    # The order of the two calls differs between ranks, which is harmless with tags of their own.
    handles = {s: shift(data(10 * rank + s, (LARGE // 4,)), s, comm=comm) for s in ((1, -1) if rank % 2 else (-1, 1))}
    for step in (-1, 1):
        assert np.array_equal(handles[step].wait(), data(10 * ((rank - step) % n) + step, (LARGE // 4,)))
    first, second = shift(data(rank, (4,)), comm=comm), shift(data(rank + 50, (4,)), comm=comm)
    assert np.array_equal(second.wait(), data((rank - 1) % n + 50, (4,)))
    assert np.array_equal(first.wait(), data((rank - 1) % n, (4,)))


def check_uneven_ring(comm: MPI.Intracomm) -> None:
    """Parts of different lengths, some empty, go all the way round."""
    n, rank = comm.size, comm.rank
    for length in (1, 2, 7):
        rows = [distributed.positions(length, layout="zigzag", rank=r, size=n).size for r in range(n)]
        part = data(rank, (rows[rank], 3))
        for hop in range(1, n + 1):
            owner = (rank - hop) % n
            part = shift(part, shape=(rows[owner], 3), comm=comm).wait()
            assert np.array_equal(part, data(owner, (rows[owner], 3)))


def check_parts(comm: MPI.Intracomm) -> None:
    """Above the count limit of MPI a message goes in parts, here from the fifth element on."""
    exchange.MAX_COUNT = 4
    distributed.reset_traffic(comm)
    got = shift(data(comm.rank, (3, 7), "f2"), comm=comm).wait()
    pieces = alltoall([data(comm.rank, (comm.rank, r, 3)) for r in range(comm.size)], comm=comm)
    exchange.MAX_COUNT = 2**31 - 1
    assert np.array_equal(got, data((comm.rank - 1) % comm.size, (3, 7), "f2"))
    assert all(np.array_equal(p, data(r, (r, comm.rank, 3))) for r, p in enumerate(pieces))
    assert comm.size == 1 or distributed.traffic(comm)["shift"] == Traffic(6, 42)


def check_alltoall(comm: MPI.Intracomm) -> None:
    n, rank = comm.size, comm.rank
    for width in (1, 3, LARGE // 10):
        for even in (True, False):
            sent = [data(n * rank + s, (2 if even else (rank + s) % 3, width), "f4") for s in range(n)]
            want = [data(n * r + rank, (2 if even else (rank + r) % 3, width), "f4") for r in range(n)]
            for shapes in (None, [w.shape for w in want]):
                got = alltoall(sent, shapes=shapes, comm=comm)
                assert all(np.array_equal(g, w) and g.dtype == w.dtype for g, w in zip(got, want))
    different = alltoall([np.zeros((rank + 1,) * (s % 3)) for s in range(n)], comm=comm)
    assert [p.shape for p in different] == [(r + 1,) * (rank % 3) for r in range(n)]


def check_send(comm: MPI.Intracomm) -> None:
    """A pipeline: every rank passes on what it gets; tags are told apart; large messages in both directions."""
    n, rank = comm.size, comm.rank
    value = data(0, (LARGE,), "f4") if rank == 0 else recv((LARGE,), "f4", rank - 1, tag=3, comm=comm).wait() + 1
    handle = send(value, rank + 1, tag=3, comm=comm) if rank + 1 < n else None
    assert np.array_equal(value, data(0, (LARGE,), "f4") + rank)
    if handle is not None:
        assert handle.wait() is None
    if n > 1 and rank < 2:
        other = 1 - rank
        arriving = [recv((5,), "i8", other, tag=t, comm=comm) for t in (0, 16383)]
        leaving = [send(data(rank + t, (5,), "i8"), other, tag=t, comm=comm) for t in (16383, 0)]
        assert [int(a.wait()[0]) for a in arriving] == [7 * other, 7 * (other + 16383)]
        assert [h.wait() for h in leaving] == [None, None]


def check_traffic(comm: MPI.Intracomm) -> None:
    n, rank = comm.size, comm.rank
    distributed.reset_traffic(comm)
    shift(np.zeros((5, 2), "f4"), comm=comm).wait()
    shift(np.zeros(3), operation="ring", comm=comm).wait()
    shift(np.zeros((0, 4)), comm=comm).wait()
    shapes = [(rank,)] * n
    alltoall([np.zeros(s) for s in range(n)], shapes=shapes, comm=comm)
    counted = distributed.traffic(comm)
    if n == 1:
        assert counted == {}
        return
    assert counted["shift"] == Traffic(1, 40)
    assert counted["ring"] == Traffic(1, 24)
    full = [s for s in range(n) if s not in (0, rank)]
    assert counted.get("alltoall", Traffic()) == Traffic(len(full), 8 * sum(full))


def check_device(comm: MPI.Intracomm) -> None:
    """Device arrays pass through pinned memory and come out as device arrays."""
    cupy = stub_device.install()
    n, rank = comm.size, comm.rank
    got = shift(cupy.asarray(data(rank, (2, 3), "f2")), comm=comm).wait()
    assert isinstance(got, stub_device.ndarray)
    assert np.array_equal(got.get(), data((rank - 1) % n, (2, 3), "f2"))
    got = alltoall([cupy.asarray(data(rank, (s + 1,))) for s in range(n)], comm=comm)
    assert all(np.array_equal(g.get(), data(r, (rank + 1,))) for r, g in enumerate(got))
    if n > 1 and rank == 0:
        send(cupy.asarray(data(0, (4,))), 1, comm=comm).wait()
    if n > 1 and rank == 1:
        assert np.array_equal(recv((4,), "f8", 0, xp=cupy, comm=comm).wait().get(), data(0, (4,)))
    mixed = [cupy.asarray(np.zeros(1)), *[np.zeros(1)] * (n - 1)]
    if n > 1:
        expect(DeviceMismatchError, alltoall, mixed, comm=comm)


def expect(kind: type, call: object, *args: object, **keywords: object) -> None:
    try:
        call(*args, **keywords)
    except kind:
        return
    raise AssertionError(f"{call} did not raise {kind}")


def check_errors(comm: MPI.Intracomm) -> None:
    n, last = comm.size, comm.rank == comm.size - 1
    expect(DTypeError, shift, np.array([None]), comm=comm)
    expect(InvalidValueError, send, np.zeros(1), comm.rank, comm=comm)
    expect(InvalidValueError, recv, (1,), "f8", n, comm=comm)
    if n > 1:
        expect(InvalidValueError, send, np.zeros(1), (comm.rank + 1) % n, tag=16384, comm=comm)
    else:
        expect(ShapeError, shift, np.zeros(2), shape=(3,), comm=comm)
    expect(ShapeError, alltoall, [np.zeros(1)] * (n + last), comm=comm)
    if n > 1:
        expect(DTypeError, alltoall, [np.zeros(1, "f4" if last else "f8")] * n, comm=comm)
        expect(SciError, alltoall, [*[np.zeros(1)] * (n - 1), np.zeros(1, "f4" if last else "f8")], comm=comm)
    with distributed.agreed(comm):
        pass


def main() -> None:
    comm = private_communicator()
    with distributed.abort_on_error(comm):
        check_shift(comm)
        check_both_directions_at_once(comm)
        check_uneven_ring(comm)
        check_parts(comm)
        check_alltoall(comm)
        check_send(comm)
        check_traffic(comm)
        check_errors(comm)
        check_device(comm)
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
