"""The input of softmax attention: shapes, and arguments that differ between ranks."""

from __future__ import annotations

import numpy as np
import pytest
from attention_oracle import attention_arrays
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import shard
from sci.errors import DecompositionError, DTypeError, InvalidValueError, ShapeError
from sci.sequence import softmax_attention
from sci.sequence.attention.problem import check_heads, checked_blocks, checked_window, flat_heads


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
        ("window", (3, (3, 4))),
        ("sink_tokens", (1, 2)),
        ("offset", (0, None)),
        ("cap", (2.0, 3.0)),
        ("slopes", ([0.1, 0.2], [0.1, 0.3])),
        ("dropout", (0.1, 0.2)),
        ("seed", (1, 2)),
        ("bias", (np.zeros((1, 8), "f4"), np.zeros((1, 1), "f4"))),
        ("mask", (None, np.ones((1, 8), bool))),
        ("sink_logits", (np.zeros(2, "f4"), np.ones(2, "f4"))),
        ("segments", (None, np.zeros(4, int))),
    ],
)
def test_options_that_differ_between_ranks_are_named(name: str, values: tuple) -> None:
    q, k, v, _ = (a.astype("f4") for a in attention_arrays(8))
    beside = {"sink_tokens": {"window": 2}, "dropout": {"seed": 0}, "seed": {"dropout": 0.5}}

    def body(comm: ThreadComm) -> None:
        mine = [shard(a, comm, 1) for a in (q, k, v)]
        with pytest.raises(InvalidValueError, match=f"softmax_attention: {name} differs between ranks"):
            softmax_attention(*mine, **{**beside.get(name, {}), name: values[comm.rank]}, comm=comm)

    on_ranks(2, body)


def test_parts_that_do_not_make_the_layout_are_refused() -> None:
    q, k, v, _ = attention_arrays(9)

    def body(comm: ThreadComm) -> None:
        part = slice(0, 2) if comm.rank == 0 else slice(2, 9)
        with pytest.raises(DecompositionError, match="rank 0 holds 2 of 9 tokens; expected 5"):
            softmax_attention(*(a[:, part] for a in (q, k, v)), layout="striped", comm=comm)
        with pytest.raises(DecompositionError, match="rank 0 holds 2 of 9 tokens of the keys; expected 5"):
            softmax_attention(shard(q, comm, 1, "zigzag"), *(a[:, part] for a in (k, v)), layout="zigzag", comm=comm)
        with pytest.raises(ShapeError, match="not sharded"):
            softmax_attention(q, k, v, comm=comm)
        with pytest.raises(ShapeError, match="q differs between ranks"):
            softmax_attention(*(a[: 1 + comm.rank, part] for a in (q, k, v)), comm=comm)
        with pytest.raises(ShapeError, match="rows on the ranks"):
            softmax_attention(*(a[:, part] for a in (q, k, v)), np.zeros((1 if comm.rank else 2, 9)), comm=comm)
        with pytest.raises(InvalidValueError, match="one row of bias, for all queries, differs between ranks"):
            softmax_attention(*(a[:, part] for a in (q, k, v)), np.full((1, 9), float(comm.rank)), comm=comm)

    on_ranks(2, body)


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (((4, 5, 3), (3, 6, 3), (3, 6, 3)), "a number of heads that divides"),
        (((2, 5, 3), (2, 6, 4), (2, 6, 4)), "the same leading axes and head_dim"),
        (((2, 2, 5, 3), (3, 2, 6, 3), (3, 2, 6, 3)), "the same leading axes"),
        (((2, 5, 3), (2, 6, 3), (2, 7, 3)), "v has shape"),
        (((2, 5, 577), (2, 6, 577), (2, 6, 3)), "head_dim is 577; expected 1 to 576"),
        (((2, 5, 3), (2, 6, 3), (2, 6, 600)), "the width of v is 600"),
    ],
)
def test_keys_that_do_not_fit_the_queries_are_refused(shapes: tuple, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        softmax_attention(*(np.zeros(shape) for shape in shapes))


def test_windows_have_two_sides() -> None:
    assert checked_window(3, 0) == (3, 3)
    assert checked_window((None, 0), 2) == (None, 0)
    assert checked_window(None, 0) is None
