"""Temperature, likeliest codes and guidance."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.generative import Sampling
from sci.generative.next_scale.filters import draw, guided, probabilities

P = np.array([0.1, 0.4, 0.05, 0.3, 0.15])


def test_probabilities_of_the_likeliest_codes() -> None:
    logits = np.log(P)[None] + 7
    for rule, expected in (
        (Sampling(), P),
        (Sampling(temperature=0.5), P**2),
        (Sampling(top_k=2), P * (P >= 0.3)),
        (Sampling(top_k=9), P),
        (Sampling(top_p=1.0), P),
        (Sampling(top_p=0.69), P * (P >= 0.3)),
        (Sampling(top_p=0.71), P * (P >= 0.15)),
        (Sampling(top_p=1e-9), P * (P == 0.4)),
        (Sampling(top_k=3, top_p=0.8), P * (P >= 0.3)),  # 0.4 and 0.3 are .82 of the three
    ):
        np.testing.assert_allclose(probabilities(logits, rule)[0], expected / expected.sum(), rtol=1e-12)


def test_scales_have_their_own_numbers() -> None:
    rule = Sampling([1.0, 0.5, 0.1], top_k=(9, 2, 1), top_p=0.9, guidance=2.0)
    assert rule.at(1, 3) == Sampling(0.5, 2, 0.9, 2.0)
    assert Sampling(0.7).at(4, 5) == Sampling(0.7)
    with pytest.raises(InvalidValueError, match=r"temperature is \(1.0, 0.5, 0.1\) for 4 scales"):
        rule.at(0, 4)


def test_draws_invert_the_sums() -> None:
    u = (np.arange(1000) + 0.5) / 1000
    codes = draw(np.tile(np.log(P), (1000, 1)), Sampling(), u)
    assert np.bincount(codes, minlength=5).tolist() == [100, 400, 50, 300, 150]
    assert (np.diff(codes) >= 0).all()
    last = draw(np.log(P)[None], Sampling(top_k=1), np.array([1 - 2**-53]))
    assert last.tolist() == [1]
    assert draw(np.array([[0.0, -1e9]]), Sampling(), np.array([1 - 2**-53])).tolist() == [0]


def test_guidance_grows_with_the_scale() -> None:
    rule = Sampling(guidance=3.0)
    assert [rule.strength(k, 4) for k in range(4)] == [0.0, 1.0, 2.0, 3.0]
    assert rule.strength(0, 1) == 3.0
    np.testing.assert_array_equal(guided(np.array([2.0]), np.array([1.0]), 0.5), [2.5])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"temperature": [1.0, 0.0]}, "temperature is .1.0, 0.0."),
        ({"top_k": (2, 0)}, "top_k is .2, 0."),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_p": float("nan")}, "top_p is nan"),
        ({"guidance": -1.0}, "guidance is -1.0"),
    ],
)
def test_settings_out_of_range_are_named(options: dict, says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        Sampling(**options)


def test_logits_that_are_no_numbers_are_refused() -> None:
    """The first code would be drawn always."""
    with pytest.raises(InvalidValueError, match="logits of codes"):
        draw(np.array([[np.nan, 0.0]]), Sampling(), np.array([0.5]))
