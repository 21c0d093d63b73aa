"""Check communicators and collectives against answers that every rank can compute by itself.

mpirun -n 3 python tests/mpi/programs/collectives.py
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci import distributed
from sci.distributed import abort_on_error, collectives, exchange, reductions
from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError


def data(rank: int, shape: tuple[int, ...], dtype: str = "f8") -> np.ndarray:
    """Return numbers of very different size, whose sum depends on its order."""
    rng = np.random.default_rng(rank)
    values = rng.standard_normal(shape) * 10.0 ** rng.integers(-12, 12, shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return (values * (1 if np.dtype(dtype).kind in "fc" else 1e-6)).astype(dtype)


def ordered_sum(n_ranks: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    total = data(0, shape, dtype)
    for rank in range(1, n_ranks):
        total = total + data(rank, shape, dtype)
    return total


def raise_together(comm: MPI.Intracomm, problem: Exception | None) -> None:
    with distributed.agreed(comm):
        if problem is not None:
            raise problem


def check_sums(comm: MPI.Intracomm) -> None:
    n, rank = comm.size, comm.rank
    for shape in [(), (1,), (3,), (7, 5), (0,), (4099,), (130, 31, 5)]:
        for dtype in ("f8", "f4", "c16", "i8", "i4"):
            want = ordered_sum(n, shape, dtype)
            got = distributed.allreduce_sum(data(rank, shape, dtype), comm)
            assert got.dtype == want.dtype, (shape, dtype)
            assert got.shape == shape, (shape, dtype)
            assert got.tobytes() == want.tobytes(), (shape, dtype)
    flags = np.array([True, False, rank == 0])
    assert distributed.allreduce_sum(flags, comm).tolist() == [n, 0, 1]
    strided = np.arange(24.0).reshape(4, 6)[:, ::2]
    assert np.array_equal(distributed.allreduce_sum(strided, comm), n * strided)
    swapped = np.arange(5.0).astype(">f8")
    assert np.array_equal(distributed.allreduce_sum(swapped, comm), n * np.arange(5.0))


def check_small_and_large_paths_agree(comm: MPI.Intracomm) -> None:
    """The three ways through a reduction give the same bits."""
    want = ordered_sum(comm.size, (1001,), "f8").tobytes()
    kept = reductions._SMALL_BYTES, reductions._BLOCK_BYTES
    for small, block in [(1 << 30, 1 << 27), (0, 1 << 27), (0, 1000), (400, 1000)]:
        reductions._SMALL_BYTES, reductions._BLOCK_BYTES = small, block
        assert distributed.allreduce_sum(data(comm.rank, (1001,)), comm).tobytes() == want, (small, block)
    reductions._SMALL_BYTES, reductions._BLOCK_BYTES = kept


def check_max(comm: MPI.Intracomm) -> None:
    values = np.arange(5.0) * (1 if comm.rank % 2 else -1)
    want = np.arange(5.0) if comm.size > 1 else -np.arange(5.0)
    assert np.array_equal(distributed.allreduce_max(values, comm), want)
    values[2] = np.nan if comm.rank == comm.size - 1 else 0.0
    assert np.isnan(distributed.allreduce_max(values, comm)[2])


def check_gather(comm: MPI.Intracomm) -> None:
    rows = [(3 * r * r + 2) % 5 for r in range(comm.size)]
    for dtype in ("f8", "f4", "f2", "c8", "i2", "u1", "?"):
        parts = [(np.arange(3 * k).reshape(k, 3) + 10 * r).astype(dtype) for r, k in enumerate(rows)]
        want = np.concatenate(parts)
        for limit in (2**31 - 1, 4):
            exchange.MAX_COUNT = collectives.MAX_COUNT = limit  # 4: every message goes in parts
            got = distributed.allgather_rows(parts[comm.rank], comm)
            assert got.dtype == want.dtype
            assert got.tobytes() == want.tobytes(), (dtype, limit)
    exchange.MAX_COUNT = collectives.MAX_COUNT = 2**31 - 1


def check_scatter(comm: MPI.Intracomm) -> None:
    want = ordered_sum(comm.size, (11, 3), "f8")
    got = distributed.reduce_scatter_rows(data(comm.rank, (11, 3)), comm)
    assert got.tobytes() == want[distributed.split(11, comm)].tobytes()
    counts = [0] * (comm.size - 1) + [11]
    got = distributed.reduce_scatter_rows(data(comm.rank, (11, 3)), comm, counts)
    assert got.shape == (counts[comm.rank], 3)
    assert comm.rank < comm.size - 1 or got.tobytes() == want.tobytes()


def check_broadcast(comm: MPI.Intracomm) -> None:
    for root in range(comm.size):
        for want in (data(7, (5, 2)), np.float32(3.5), np.zeros((0, 4), "i4"), np.arange(6, dtype="f2")):
            exchange.MAX_COUNT = collectives.MAX_COUNT = 4
            got = distributed.broadcast(want if comm.rank == root else None, comm, root)
            exchange.MAX_COUNT = collectives.MAX_COUNT = 2**31 - 1
            assert got.dtype == np.asarray(want).dtype
            assert got.shape == np.shape(want)
            assert np.array_equal(got, want)
        assert distributed.broadcast_object({"a": [1, root]} if comm.rank == root else None, comm, root) == {
            "a": [1, root]
        }


def check_errors_reach_all(comm: MPI.Intracomm) -> None:
    """What is wrong on the last rank only is raised on every rank."""
    last = comm.rank == comm.size - 1

    def expect(kind: type, call: object, *args: object) -> str:
        try:
            call(*args)
        except kind as error:
            return str(error)
        raise AssertionError(f"{call} did not raise {kind} on rank {comm.rank}")

    text = expect(ShapeError, raise_together, comm, ShapeError("too flat") if last else None)
    assert text == ("too flat" if last else f"rank {comm.size - 1}: too flat")
    foreign = ZeroDivisionError("x") if last else None
    text = expect(ZeroDivisionError if last else SciError, raise_together, comm, foreign)
    assert last or text == f"rank {comm.size - 1}: ZeroDivisionError: x"
    everyone = expect(InvalidValueError, raise_together, comm, InvalidValueError(f"mine {comm.rank}"))
    assert everyone == f"mine {comm.rank}"
    objects = np.array([None]) if last else np.zeros(1)
    expect(DTypeError, distributed.allreduce_sum, objects, comm)
    expect(DTypeError, distributed.allgather_rows, objects, comm)
    expect(InvalidValueError, distributed.broadcast, None, comm, 0)
    expect(InvalidValueError, distributed.broadcast, np.zeros(1), comm, comm.size if last else 0)
    expect(InvalidValueError, distributed.reduce_scatter_rows, np.zeros(3), comm, [1, 1, 1, 1, 1] if last else None)
    if comm.size > 1:
        expect(ShapeError, distributed.allreduce_sum, np.zeros(3 + last), comm)
        expect(DTypeError, distributed.allreduce_sum, np.zeros(3, "f4" if last else "f8"), comm)
        expect(ShapeError, distributed.allgather_rows, np.zeros((2, 3 + last)), comm)
        expect(InvalidValueError, distributed.broadcast, np.zeros(1), comm, int(last))
    with distributed.agreed(comm):
        pass


def check_traffic(comm: MPI.Intracomm) -> None:
    others = comm.size - 1
    distributed.reset_traffic(comm)
    distributed.allreduce_sum(np.zeros(12_000), comm, checked=True)  # 12,000 is divisible by 1 to 4: equal segments
    part = 12_000 // comm.size * 8
    counted = distributed.traffic(comm)
    if comm.size == 1:
        assert counted == {}
        return
    assert counted == {"allreduce_sum": distributed.Traffic(2 * others, 2 * others * part)}
    distributed.allgather_rows(np.zeros((comm.rank, 2)), comm)
    assert distributed.traffic(comm)["allgather_rows"] == distributed.Traffic(others, others * comm.rank * 16)
    assert distributed.traffic(comm)["agree"].messages == others
    distributed.reset_traffic(comm)
    assert distributed.traffic(comm) == {}


def check_duplicate_is_freed(comm: MPI.Intracomm) -> None:
    """One duplicate for each communicator, private to the library, freed with its parent."""
    for _ in range(3):
        mine = comm.Dup()
        channel = distributed.communicators.channel_of(mine)
        assert distributed.communicators.channel_of(mine) is channel
        assert MPI.Comm.Compare(channel.comm, mine) == MPI.CONGRUENT
        copy = mine.Dup()
        assert distributed.communicators.channel_of(copy) is not channel
        copy.Free()
        mine.Free()
        assert channel.comm == MPI.COMM_NULL
    half = comm.Split(comm.rank % 2, comm.rank)
    assert distributed.allreduce_sum(1, half) == half.size
    half.Free()


def main() -> None:
    comm = private_communicator()
    with abort_on_error(comm):
        check_sums(comm)
        check_small_and_large_paths_agree(comm)
        check_max(comm)
        check_gather(comm)
        check_scatter(comm)
        check_broadcast(comm)
        check_errors_reach_all(comm)
        check_traffic(comm)
        check_duplicate_is_freed(comm)
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
