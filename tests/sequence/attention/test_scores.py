"""What is refused of biases, masks, slopes and dropout, and by which methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attention_features import CASES, found, takes
from attention_oracle import attention_arrays

from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError
from sci.sequence import PairScore, softmax_attention

Q, K, V = attention_arrays(6, count=3)


@pytest.mark.parametrize(
    ("error", "says", "options"),
    [
        (ShapeError, "bias has shape", {"bias": np.zeros((3, 6, 6))}),
        (ShapeError, "bias has 5 columns; expected 6", {"bias": np.zeros((6, 5))}),
        (DTypeError, "bias has dtype float32", {"bias": np.zeros((6, 6), "f4")}),
        (InvalidValueError, "bias holds 36", {"bias": np.full((6, 6), -np.inf)}),
        (InvalidValueError, "mask has dtype float64", {"mask": np.ones((6, 6))}),
        (ShapeError, "slopes have shape", {"slopes": [1.0]}),
        (InvalidValueError, r"slopes\[1\] is nan", {"slopes": [1.0, np.nan]}),
        (ShapeError, "sink_logits have shape", {"sink_logits": np.zeros(3)}),
        (InvalidValueError, "without a seed", {"dropout": 0.1}),
        (InvalidValueError, "dropout is 1", {"dropout": 1.0, "seed": 0}),
        (InvalidValueError, "expected a seed", {"dropout": 0.5, "seed": -1}),
        (InvalidValueError, "cap is -1", {"cap": -1.0}),
        (InvalidValueError, "cap is 1e-310", {"cap": 1e-310}),
        (DTypeError, "slopes have dtype complex128", {"slopes": np.array([1j, 1])}),
        (InvalidValueError, "offset is", {"offset": 2**62, "causal": True}),
        (InvalidValueError, "segments hold 9223372036854775808", {"segments": np.full(6, 2**63, np.uint64)}),
        (InvalidValueError, "window is", {"window": -2}),
        (InvalidValueError, "window is", {"window": (1, 2, 3)}),
        (InvalidValueError, "sink_tokens is 2", {"sink_tokens": 2}),
        (InvalidValueError, "without score=", {"parameters": np.zeros(2)}),
        (InvalidValueError, "key_segments are given without", {"key_segments": np.zeros(6, int)}),
        (
            InvalidValueError,
            "several runs",
            {"segments": np.array([0, 1, 0, 0, 0, 0]), "causal": True} | {"key_segments": np.array([0, 0, 0, 1, 1, 1])},
        ),
    ],
)
def test_bad_options_are_named(error: type[SciError], says: str, options: dict[str, Any]) -> None:
    with pytest.raises(error, match=says):
        softmax_attention(Q, K, V, **options)


@pytest.mark.parametrize("method", ["rsa", "ulysses"])
@pytest.mark.parametrize("name", CASES)
def test_a_method_refuses_by_name_what_it_does_not_take(name: str, method: str) -> None:
    if not takes(method, name):
        with pytest.raises(InvalidValueError, match=f"method '{method}' does not take .*'ring'"):
            list(found(CASES[name], method=method))


def test_a_query_whose_mask_hides_all_is_blind_and_an_overflow_is_not() -> None:
    mask = np.ones((6, 6), bool)
    mask[2] = False
    out, lse = softmax_attention(Q, K, V, mask=mask)
    assert np.isneginf(lse[:, 2]).all()
    assert not out[:, 2].any()
    with pytest.raises(InvalidValueError, match="scores overflow"), np.errstate(all="ignore"):
        softmax_attention(-1e200 * np.abs(Q), 1e200 * np.abs(K), V, mask=mask)


def test_a_callable_that_returns_another_shape_is_an_error() -> None:
    wrong = PairScore(lambda p, i, j: np.zeros((5, i.size, j.size)), lambda p, i, j, d: p)
    with pytest.raises(ValueError, match="broadcast"):
        softmax_attention(Q, K, V, None, None, np.zeros(1), score=wrong)
    whole = PairScore(lambda p, i, j: np.abs(i[:, None] - j), lambda p, i, j, d: p)
    with pytest.raises(DTypeError, match=r"what score.bias returned has dtype int64"):
        softmax_attention(Q, K, V, None, None, np.zeros(1), score=whole)
    wrong = PairScore(lambda p, i, j: np.zeros((i.size, j.size)), lambda p, i, j, d: d.sum())
    (out, _), residuals = softmax_attention.forward(Q, K, V, None, None, np.zeros(1), score=wrong)
    with pytest.raises(ShapeError, match=r"score.vjp returned \(\); expected an array like parameters, \(1,\)"):
        softmax_attention.vjp((out, None), residuals)


def test_a_callable_and_a_bias_add_up_for_one_head_and_without_parameters() -> None:
    """Several tiles; what the callable returned is not written to."""
    q, bias = np.ones((1, 700, 2)), np.linspace(0, 1, 700)[None]
    table = np.random.default_rng(0).normal(size=(700, 700))
    score = PairScore(lambda p, i, j: table[i[0] : i[-1] + 1, j[0] : j[-1] + 1], lambda p, i, j, d: None)
    before = table.copy()
    (out, lse), residuals = softmax_attention.forward(q, q, q, bias, score=score)
    np.testing.assert_allclose(lse[0], np.log(np.exp(2**0.5 + table + bias).sum(axis=1)), rtol=1e-13)
    np.testing.assert_array_equal(table, before)
    assert softmax_attention.vjp((out, None), residuals)[3].shape == bias.shape


def test_numbers_beyond_all_tokens_and_scores_mean_none() -> None:
    q, k, v = (a.astype("f4") for a in (Q, K, V))
    _, lse = softmax_attention(q, k, v)
    _, capped = softmax_attention(q, k, v, cap=1e9)
    np.testing.assert_allclose(capped, lse, rtol=0, atol=1e-6)
    for far in ({"window": 2**63 - 1}, {"window": 2**70}, {"window": 0, "sink_tokens": 2**63 - 1}):
        np.testing.assert_allclose(softmax_attention(q, k, v, **far)[1], lse, rtol=0, atol=1e-6)


def test_documents_of_an_empty_batch() -> None:
    q, ids = np.zeros((0, 2, 6, 3)), np.zeros((0, 6), int)
    for key_ids in (None, ids, np.zeros(6, int)):
        assert softmax_attention(q, q, q, segments=ids, key_segments=key_ids)[0].shape == q.shape
