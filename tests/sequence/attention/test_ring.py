"""The ring: the order of visitors, gradients that come home, attention on ranks as threads."""

from __future__ import annotations

import numpy as np
import pytest
from attention_features import CASES
from attention_oracle import PACKED, attention_arrays
from attention_ranks import assert_case_on_ranks, assert_dense_on_ranks, bytes_on_ranks
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import shard, traffic
from sci.sequence import attention_cost, softmax_attention
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


@pytest.mark.parametrize("name", CASES)
def test_every_option_on_ranks(name: str) -> None:
    assert_case_on_ranks(name, "ring", 3, "zigzag")
    assert_case_on_ranks(name, "ring", 4, "contiguous", uneven=True)


@pytest.mark.parametrize(
    ("options", "hops"),
    [
        ({}, 3),
        ({"causal": True}, 3),
        ({"causal": True, "window": (5, 0)}, 1),
        ({"causal": True, "window": (6, 0)}, 1),
        ({"causal": True, "window": (7, 0)}, 2),
        ({"window": (2, 2)}, 2),
        ({"causal": True, "window": (5, 0), "sink_tokens": 2}, 3),
    ],
)
def test_hops_beyond_what_is_seen_are_skipped(options: dict, hops: int) -> None:
    """Six tokens a rank, four heads of queries to two of keys, values of another width: bytes by rank and formula."""
    q, k, v, dout = (attention_arrays(24, heads, d, count=1)[0] for heads, d in ((4, 5), (2, 5), (2, 3), (4, 3)))
    costs = [
        attention_cost(24, 4, 5, 4, key_heads=2, width=3, dtype="float64", backward=b, **options).bytes_sent
        for b in (False, True)
    ]

    def body(comm: ThreadComm) -> tuple[int, int]:
        mine = [shard(a, comm, 1) for a in (q, k, v, dout)]
        _, residuals = softmax_attention.forward(*mine[:3], comm=comm, **options)
        before = sum(t.bytes for name, t in traffic(comm).items() if name != "agree")
        softmax_attention.vjp((mine[3], None), residuals)
        return before, sum(t.bytes for name, t in traffic(comm).items() if name != "agree") - before

    sent = np.array(on_ranks(4, body))
    assert sent.max(axis=0).tolist() == costs
    assert costs[0] == hops * 6 * 2 * (5 + 3) * 8
