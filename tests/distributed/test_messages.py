"""Messages between ranks: rings, sends and receives, all-to-all, and the tags that keep them apart."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import alltoall, recv, send, shift, traffic
from sci.distributed.messages import MAX_TAG
from sci.errors import DTypeError, InvalidValueError, ShapeError


@pytest.mark.parametrize("step", [1, -1, 2, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_shift_brings_the_array_of_the_rank_before(size: int, step: int) -> None:
    found = on_ranks(size, lambda comm: shift(np.array([comm.rank]), step, comm=comm).wait())
    assert [int(a[0]) for a in found] == [(rank - step) % size for rank in range(size)]


def test_next_and_previous_of_two_ranks_are_not_mixed_up() -> None:
    """On two ranks both neighbors are one rank; the shifts are started in different orders."""

    def body(comm: ThreadComm) -> list[str]:
        steps = (1, -1) if comm.rank == 0 else (-1, 1)
        under_way = {step: shift(np.array([10 * comm.rank + step]), step, comm=comm) for step in steps}
        return [int(under_way[step].wait()[0]) for step in (1, -1)]

    assert on_ranks(2, body) == [[11, 9], [1, -1]]


def test_shapes_may_differ_along_the_ring() -> None:
    def body(comm: ThreadComm) -> int:
        arrived = shift(np.full(comm.rank, 1.0), shape=((comm.rank - 1) % comm.size,), comm=comm).wait()
        return arrived.size

    assert on_ranks(3, body) == [2, 0, 1]
    with pytest.raises(ShapeError, match="from this rank itself"):
        shift(np.zeros(2), shape=(3,))


def test_a_received_array_is_returned_again_by_a_second_wait() -> None:
    def body(comm: ThreadComm) -> None:
        if comm.rank == 0:
            assert send(np.arange(3, dtype="f4"), 1, tag=7, comm=comm).wait() is None
        else:
            message = recv((3,), "f4", 0, tag=7, comm=comm)
            first = message.wait()
            assert message.done()
            assert message.wait() is first
            assert first.tolist() == [0, 1, 2]

    on_ranks(2, body)


def test_tags_tell_messages_apart() -> None:
    def body(comm: ThreadComm) -> list[int] | None:
        if comm.rank == 0:
            for tag in (5, 3):
                send(np.array([tag]), 1, tag=tag, comm=comm).wait()
            return None
        return [int(recv((1,), int, 0, tag=tag, comm=comm).wait()[0]) for tag in (3, 5)]

    assert on_ranks(2, body)[1] == [3, 5]


@pytest.mark.parametrize("peer", [0, 2, -1])
def test_a_partner_is_another_rank(peer: int) -> None:
    def body(comm: ThreadComm) -> None:
        if comm.rank == 0:
            with pytest.raises(InvalidValueError, match="expected another rank"):
                send(np.zeros(1), peer, comm=comm)
            with pytest.raises(InvalidValueError, match=f"expected 0 to {MAX_TAG}"):
                recv((1,), float, 1, tag=MAX_TAG + 1, comm=comm)

    on_ranks(2, body)


@pytest.mark.parametrize("told", [False, True])
def test_alltoall_transposes(told: bool) -> None:
    """Rank r sends s + 1 numbers 10 r + s to rank s; nobody sends to rank 1."""

    def part(source: int, target: int) -> np.ndarray:
        return np.full(0 if target == 1 else target + 1, 10 * source + target)

    def body(comm: ThreadComm) -> None:
        shapes = [part(s, comm.rank).shape for s in range(3)] if told else None
        found = alltoall([part(comm.rank, t) for t in range(3)], shapes=shapes, comm=comm)
        assert [a.tolist() for a in found] == [part(s, comm.rank).tolist() for s in range(3)]
        assert traffic(comm)["alltoall"].messages == sum(t != 1 for t in range(3) if t != comm.rank)

    on_ranks(3, body)


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (lambda rank: [np.zeros(1)] * (2 - rank), ShapeError),
        (lambda rank: [np.zeros(1), np.zeros(1, "f4")], DTypeError),
        (lambda rank: [np.zeros(1, "f4" if rank else "f8")] * 2, DTypeError),
    ],
)
def test_parts_that_do_not_fit_are_refused_on_all_ranks(parts, kind) -> None:
    def body(comm: ThreadComm) -> None:
        with pytest.raises(kind):
            alltoall(parts(comm.rank), comm=comm)

    on_ranks(2, body)
