"""The exchange that halos, rings and reductions are made of: parts above the count of MPI, own pieces, empty ones."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import traffic
from sci.distributed.communicators import Traffic, channel_of
from sci.distributed.exchange import Expected, Piece, exchange, start_exchange


@pytest.mark.parametrize("dtype", ["f8", "f2", "c16", "?", "i4"])
def test_long_messages_go_in_parts(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a count of 4 elements a message, 11 elements take three."""
    monkeypatch.setattr("sci.distributed.exchange.MAX_COUNT", 4)
    whole = (np.arange(11) % 3).astype(dtype)

    def body(comm: ThreadComm) -> None:
        other, channel = 1 - comm.rank, channel_of(comm)
        (found,) = exchange(channel, "test", [Piece(other, whole)], [Expected(other, (11,))], dtype)
        assert found.dtype == whole.dtype
        assert np.array_equal(found, whole)
        assert traffic(comm)["test"] == Traffic(3, whole.nbytes)

    on_ranks(2, body)


def test_several_pieces_for_one_rank_have_tags() -> None:
    def body(comm: ThreadComm) -> list[float]:
        other = 1 - comm.rank
        pieces = [Piece(other, np.array([10.0 * comm.rank + tag]), tag) for tag in (0, 1)]
        wanted = [Expected(other, (1,), tag) for tag in (1, 0)]
        return [float(a[0]) for a in exchange(channel_of(comm), "test", pieces, wanted, "f8")]

    assert on_ranks(2, body) == [[11.0, 10.0], [1.0, 0.0]]


def test_a_piece_for_the_rank_itself_is_not_sent() -> None:
    def body(comm: ThreadComm) -> None:
        piece = np.arange(6)
        (found,) = exchange(channel_of(comm), "own", [Piece(comm.rank, piece)], [Expected(comm.rank, (2, 3))], "i8")
        assert found.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert "own" not in traffic(comm)

    on_ranks(2, body)
    assert exchange(None, "own", [Piece(0, np.zeros(2))], [Expected(0, (2,))], "f8")[0].tolist() == [0, 0]


def test_an_exchange_under_way_says_when_it_is_done() -> None:
    def body(comm: ThreadComm) -> None:
        other = 1 - comm.rank
        pending = start_exchange(channel_of(comm), "test", [Piece(other, np.ones(2))], [Expected(other, (2,))], "f8")
        assert pending.wait()[0].tolist() == [1, 1]
        assert pending.done()

    on_ranks(2, body)
