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
