"""Checks that all kinds of attention and all losses share: dtypes, labels, sequences that are not sharded."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.sequence.checks import (
    agree_cotangents,
    check_choice,
    check_dtypes,
    check_finite,
    fingerprint,
    kept_labels,
    narrowed,
    require_sharded,
    scale_or,
    working_dtype,
)


def test_sums_are_never_narrower_than_float32_or_the_input() -> None:
    assert [working_dtype(np.dtype(t)).name for t in ("f2", "f4", "f8")] == ["float32", "float32", "float64"]
    assert working_dtype(np.dtype("f2"), "float64").name == "float64"
    assert working_dtype(np.dtype("f8"), "float32").name == "float64"
    with pytest.raises(InvalidValueError, match="precision is 'float16'"):
        working_dtype(np.dtype("f2"), "float16")


def test_narrowing_refuses_what_does_not_fit() -> None:
    assert narrowed(np.array([65504.0]), np.float16, "x").dtype == np.float16
    with pytest.raises(InvalidValueError, match="x exceeds the range of float16"):
        narrowed(np.array([65600.0]), np.dtype("f2"), "x")
    with pytest.raises(InvalidValueError, match="x holds 1 values"):
        narrowed(np.array([np.nan]), np.float64, "x")
    assert narrowed(np.empty(0), np.float16, "x").size == 0


def test_arguments_are_named() -> None:
    with pytest.raises(InvalidValueError, match="method is 'x'; expected one of 'a', 'b'"):
        check_choice("x", ("a", "b"), "method")
    with pytest.raises(DTypeError, match="k has dtype int64"):
        check_dtypes({"q": np.zeros(1), "k": np.zeros(1, int)})
    with pytest.raises(DTypeError, match="k has dtype float32, q float64"):
        check_dtypes({"q": np.zeros(1), "k": np.zeros(1, "f4")})
    with pytest.raises(InvalidValueError, match="v holds 1 values"):
        check_finite({"q": np.zeros(1), "v": np.array([np.inf])})
    assert scale_or(None, 0.5) == 0.5
    assert scale_or(2, 0.5) == 2.0
    with pytest.raises(InvalidValueError, match="scale is inf"):
        scale_or(np.inf, 0.5)


def test_labels_outside_the_vocabulary_are_refused_or_ignored() -> None:
    flat, kept = kept_labels(np.array([[0, 4], [2, 1]]), 5, None)
    assert flat.tolist() == [0, 4, 2, 1]
    assert kept is None
    for bad in (-1, -100, 5, 1000):
        labels = np.array([0, bad, 2])
        with pytest.raises(InvalidValueError, match=f"1 labels are outside of the vocabulary of 5, .* {bad};"):
            kept_labels(labels, 5, None)
        flat, kept = kept_labels(labels, 5, bad)
        assert flat.tolist() == [0, 0, 2]
        assert kept.tolist() == [True, False, True]
        with pytest.raises(InvalidValueError, match="outside of the vocabulary"):
            kept_labels(labels, 5, 3)
    with pytest.raises(DTypeError, match="labels have dtype float64"):
        kept_labels(np.zeros(3), 5, None)


def test_whole_sequences_are_told_from_parts() -> None:
    k, v = np.random.default_rng(0).normal(size=(2, 1, 8, 3))

    def prints(comm) -> tuple[int, int]:
        return fingerprint(k, v, comm), fingerprint(k + comm.rank, v, comm)

    (same, _), (other, _) = on_ranks(2, prints)
    assert same == other != 0
    with pytest.raises(ShapeError, match="not sharded; pass x"):
        require_sharded([8, 8], None, np.array([same, other]), "x")
    with pytest.raises(ShapeError, match="length is 8; pass this rank's part, x"):
        require_sharded([8, 8], 8, np.array([same, other]), "x")
    require_sharded([8, 8], 16, np.array([same, other]), "x")
    require_sharded([8, 8], None, np.array(on_ranks(2, prints))[:, 1], "x")
    assert fingerprint(k, v, None) == 0


def test_gradients_of_outputs_are_checked_on_all_ranks() -> None:
    def body(comm, second: str) -> str:
        last = comm.rank == comm.size - 1
        dout = {"shape": np.zeros(3 if last else 2), "none": None if last else np.zeros(2), "free": np.zeros(2)}[second]
        state = np.full(2, comm.rank if second == "free" else 0.0)
        try:
            given = {"dout": (dout, (2,)), "dstate": (state, (2,))}
            agree_cotangents(comm, "f", state, given, same=["dstate"])
        except (ShapeError, InvalidValueError) as error:
            return str(error)
        return "nothing"

    for kind, text in (
        ("shape", "dout has shape (3,); expected (2,)"),
        ("none", "dout differs between ranks"),
        ("free", "dstate differs between ranks"),
    ):
        assert all(text in said for said in on_ranks(3, lambda comm, kind=kind: body(comm, kind)))
