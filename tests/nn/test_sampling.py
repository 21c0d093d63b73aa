"""Draws from logits: frequencies, filters, and the likeliest class."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn.sampling import class_probabilities, draw_classes, require_sampling

LOGITS = np.log(np.array([0.4, 0.3, 0.2, 0.1]))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [0.4, 0.3, 0.2, 0.1]),
        ({"temperature": 0.5}, np.array([16, 9, 4, 1]) / 30),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_k": 9}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_p": 0.65}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.01}, [1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.5}, [4 / 7, 3 / 7, 0, 0]),
        ({"temperature": 0.5, "top_k": 2}, [16 / 25, 9 / 25, 0, 0]),
    ],
)
def test_probabilities_and_what_is_drawn_by_them(rule, expected):
    """A fine grid of uniform numbers draws each class as often as it is likely."""
    np.testing.assert_allclose(class_probabilities(LOGITS + 7.0, **rule), expected, rtol=1e-12, atol=1e-15)
    uniform = (np.arange(10_000) + 0.5) / 10_000
    drawn = draw_classes(np.broadcast_to(LOGITS, (10_000, 4)), uniform, **rule)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 10_000, expected, atol=2e-4)


def test_the_likeliest_at_temperature_zero():
    logits = np.array([[1.0, 3.0, 3.0], [2.0, 0.0, -1.0]], "f4")
    assert draw_classes(logits, np.array([0.99, 0.99]), temperature=0.0).tolist() == [1, 0]


def test_bad_rules_and_logits():
    for rule, says in (
        ((-1.0, None, None), "temperature is -1"),
        ((np.inf, None, None), "temperature is inf"),
        ((np.nan, None, None), "temperature is nan"),
        ((1.0, 0, None), "top_k is 0"),
        ((1.0, None, 0.0), "top_p is 0"),
        ((1.0, None, 1.5), "top_p is 1.5"),
    ):
        with pytest.raises(InvalidValueError, match=says):
            require_sampling(*rule)
    for temperature in (0.0, 1.0):
        with pytest.raises(InvalidValueError, match="the scores holds 1 values"):
            draw_classes(np.array([0.0, np.nan]), np.array(0.5), temperature=temperature, what="the scores")


def test_the_least_temperature_takes_the_likeliest_without_a_warning():
    with np.errstate(all="raise", under="ignore"):
        assert class_probabilities(LOGITS * 1e4, temperature=1e-310).max() == 1
