"""The input of softmax attention: documents, key ranges, and arguments that differ between ranks."""

from __future__ import annotations

import numpy as np
import pytest
from attention_oracle import PACKED, attention_arrays, seen_by
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import shard
from sci.errors import DecompositionError, DTypeError, InvalidValueError, ShapeError
from sci.sequence import softmax_attention
from sci.sequence.attention.problem import Sequences, check_heads, checked_blocks, flat_heads


@pytest.mark.parametrize("layout", ["contiguous", "zigzag", "striped"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("segments", [None, PACKED])
def test_key_ranges_are_the_tokens_that_a_query_sees(layout: str, causal: bool, segments: np.ndarray | None) -> None:
    n, everything = len(PACKED), np.arange(len(PACKED))
    lengths = {"contiguous": (7, 7, 7), "zigzag": (7, 7, 7), "striped": (7, 7, 7)}[layout]
    sequences, seen = Sequences(layout, lengths, causal, segments), seen_by(n, causal, segments)
    owned = [sequences.positions(rank) for rank in range(3)]
    assert sorted(np.concatenate(owned)) == list(everything)
    for rank, positions in enumerate(owned):
        bounds = sequences.key_range(positions, np)
        found = (bounds.low[:, None] <= everything) & (everything <= bounds.high[:, None])
        # A range may hold padding between documents: it holds no key, as padding is of no document.
        np.testing.assert_array_equal(found, seen[positions])
        np.testing.assert_array_equal(sequences.padding(rank), ~seen[positions].any(axis=1))


@pytest.mark.parametrize("blocks", [(21,), (1, 20), (1, 4, 9, 7), (1,) * 21])
@pytest.mark.parametrize("segments", [None, PACKED])
def test_key_ranges_of_blocks(blocks: tuple[int, ...], segments: np.ndarray | None) -> None:
    everything, seen = np.arange(len(PACKED)), seen_by(len(PACKED), False, segments, blocks)
    sequences = Sequences("striped", (7, 7, 7), False, segments, blocks)
    for rank in range(3):
        positions = sequences.positions(rank)
        bounds = sequences.key_range(positions, np)
        found = (bounds.low[:, None] <= everything) & (everything <= bounds.high[:, None])
        keys = np.ones(len(PACKED), bool) if segments is None else segments >= 0
        np.testing.assert_array_equal(found & keys, seen[positions])


@pytest.mark.parametrize("blocks", [(), (0, 9), (-1, 10)])
def test_blocks_that_are_no_lengths_are_refused(blocks: tuple) -> None:
    with pytest.raises(InvalidValueError, match="expected one positive length or more"):
        checked_blocks(blocks, False)
    with pytest.raises(InvalidValueError, match="one of the two masks"):
        checked_blocks((1, 2), True)
    with pytest.raises(ShapeError, match="blocks have 3 tokens in all, and the ranks hold 4"):
        softmax_attention(*np.zeros((3, 1, 4, 2)), blocks=(1, 2))


def test_arrays_are_checked_by_name() -> None:
    good = np.zeros((2, 3, 4))
    check_heads(q=good, k=good)
    for error, text, bad in (
        (ShapeError, r"k has shape \(2, 3, 5\), q \(2, 3, 4\)", np.zeros((2, 3, 5))),
        (DTypeError, "k has dtype float32, q float64", good.astype("f4")),
        (DTypeError, "k has dtype int64", good.astype(int)),
        (InvalidValueError, "k holds 24 values", np.full_like(good, np.nan)),
    ):
        with pytest.raises(error, match=text):
            check_heads(q=good, k=bad)
    assert flat_heads(np.zeros((2, 5, 3, 4)).swapaxes(0, 1)).shape == (10, 3, 4)
    assert flat_heads(good, np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("causal", (False, True)),
        ("scale", (0.3, 0.30000001)),
        ("method", ("ring", "ulysses")),
        ("layout", ("contiguous", "zigzag")),
        ("precision", ("float32", "float64")),
        ("length", (8, None)),
        ("blocks", ((1, 7), (2, 6))),
    ],
)
def test_options_that_differ_between_ranks_are_named(name: str, values: tuple) -> None:
    q, k, v, _ = (a.astype("f4") for a in attention_arrays(8))

    def body(comm: ThreadComm) -> None:
        mine = [shard(a, comm, 1) for a in (q, k, v)]
        with pytest.raises(InvalidValueError, match=f"softmax_attention: {name} differs between ranks"):
            softmax_attention(*mine, **{name: values[comm.rank]}, comm=comm)

    on_ranks(2, body)


def test_parts_that_do_not_make_the_layout_are_refused() -> None:
    q, k, v, _ = attention_arrays(9)

    def body(comm: ThreadComm) -> None:
        part = slice(0, 2) if comm.rank == 0 else slice(2, 9)
        with pytest.raises(DecompositionError, match="rank 0 holds 2 of 9 tokens; expected 5"):
            softmax_attention(*(a[:, part] for a in (q, k, v)), comm=comm)
        with pytest.raises(ShapeError, match="not sharded"):
            softmax_attention(q, k, v, comm=comm)
        with pytest.raises(ShapeError, match="q differs between ranks"):
            softmax_attention(*(a[: 1 + comm.rank, part] for a in (q, k, v)), comm=comm)

    on_ranks(2, body)
