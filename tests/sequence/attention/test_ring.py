"""The ring: the order of visitors, gradients that come home, attention on ranks as threads."""

from __future__ import annotations

import numpy as np
import pytest
from attention_oracle import PACKED
from attention_ranks import assert_dense_on_ranks, bytes_on_ranks
from thread_ranks import ThreadComm, on_ranks

from sci.sequence.attention.ring import ring_gradients, ring_steps

LENGTHS = (2, 0, 3)


def own_array(rank: int) -> np.ndarray:
    return np.full((1, LENGTHS[rank], 2), rank + 1.0)


def test_every_rank_sees_its_own_arrays_first_and_then_those_before_it() -> None:
    def body(comm: ThreadComm) -> list[int]:
        owners = []
        for owner, (visitor,) in ring_steps([own_array(comm.rank)], LENGTHS, comm):
            np.testing.assert_array_equal(visitor, own_array(owner))
            owners.append(owner)
        return owners

    assert on_ranks(3, body) == [[0, 2, 1], [1, 0, 2], [2, 1, 0]]


def test_sums_over_ranks_come_home() -> None:
    """Rank r adds 10^r times the visitor: its owner gets 111 times its array."""

    def body(comm: ThreadComm) -> np.ndarray:
        def add(owner: int, visitors: tuple[np.ndarray, ...]) -> list[np.ndarray]:
            return [10.0**comm.rank * visitors[0]]

        return ring_gradients([own_array(comm.rank)], LENGTHS, comm, add)[0]

    for rank, total in enumerate(on_ranks(3, body)):
        np.testing.assert_array_equal(total, 111 * own_array(rank))


@pytest.mark.parametrize("layout", ["contiguous", "zigzag", "striped"])
@pytest.mark.parametrize(("size", "n"), [(1, 7), (2, 9), (3, 2), (4, 13)])
def test_ranks_give_the_dense_sum(size: int, n: int, layout: str) -> None:
    assert_dense_on_ranks("ring", size, n, layout)
    assert_dense_on_ranks("ring", size, n, layout, causal=True)


@pytest.mark.parametrize("layout", ["contiguous", "zigzag", "striped"])
@pytest.mark.parametrize(("size", "blocks"), [(1, (1, 4, 9)), (2, (1, 1, 8)), (3, (2,)), (4, (1, 8, 27))])
def test_blocks_see_themselves_and_those_before(size: int, blocks: tuple[int, ...], layout: str) -> None:
    assert_dense_on_ranks("ring", size, sum(blocks), layout, blocks=blocks)


def test_documents_and_padding() -> None:
    assert_dense_on_ranks("ring", 3, len(PACKED), "striped", causal=True, segments=PACKED)
    assert_dense_on_ranks("ring", 3, len(PACKED), "striped", segments=PACKED, blocks=(1, 4, 16))


def test_bytes_are_those_of_the_formula() -> None:
    assert all(sent == expected for sent, expected in bytes_on_ranks("ring", 3, 12, 6, 4))
