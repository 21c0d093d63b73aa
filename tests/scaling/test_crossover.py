"""Crossings of power laws against a scan, and the probability that an order turns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.errors import InvalidValueError
from sci.scaling import PowerLaw, crossovers, fit_power_law, flip_probability

LAWS = st.builds(
    lambda limit, amplitude, exponent: PowerLaw(limit, (amplitude,), (exponent,), (1.0,)),
    st.floats(0, 2),
    st.floats(0.1, 5),
    st.floats(0.05, 2),
)


def test_laws_with_one_limit_cross_where_the_formula_says() -> None:
    first, second = PowerLaw(0.5, (3.0,), (0.8,), (1.0,)), PowerLaw(0.5, (1.0,), (0.3,), (1.0,))
    assert crossovers(first, second, 0.1, 1e6) == pytest.approx([3.0 ** (1 / 0.5)], rel=1e-12)


@given(LAWS, LAWS)
def test_crossings_are_the_changes_of_sign_of_a_scan(first: PowerLaw, second: PowerLaw) -> None:
    x = np.geomspace(1e-3, 1e6, 4001)
    difference = np.asarray(first(x)) - np.asarray(second(x))
    if np.abs(difference).max() <= 1e-14 * float(first(x[0])):
        return
    found = crossovers(first, second, 1e-3, 1e6)
    changes = np.flatnonzero(difference[1:] * difference[:-1] < 0)
    assert len(found) <= 2
    for k in changes:
        assert any(x[k] * (1 - 1e-9) <= root <= x[k + 1] * (1 + 1e-9) for root in found)
    for root in found:
        assert abs(first(root) - second(root)) <= 1e-9 * float(first(root))


def test_laws_that_are_one_but_for_rounding_are_refused() -> None:
    first, second = (PowerLaw(0.0, (1.0,), (p,), (1.0,)) for p in (0.05, np.nextafter(0.05, 1)))
    with pytest.raises(InvalidValueError, match="both laws are the same"):
        crossovers(first, second, 1e-3, 1e6)


def test_two_crossings_are_both_found() -> None:
    early, late = PowerLaw(1.0, (1.0,), (2.0,), (1.0,)), PowerLaw(0.9, (0.8,), (0.5,), (1.0,))
    assert len(crossovers(early, late, 0.01, 1e4)) == 2
    assert crossovers(early, late, 100.0, 200.0) == []


def test_the_probability_of_a_turn_follows_the_noise() -> None:
    rng = np.random.default_rng(0)
    x = np.geomspace(10, 1000, 10)

    def fit(limit: float, amplitude: float, exponent: float) -> object:
        return fit_power_law(x, (limit + amplitude * x**-exponent) * (1 + 1e-3 * rng.standard_normal(10)))

    steep, flat = fit(0.1, 8.0, 0.5), fit(0.3, 3.0, 0.5)
    assert flip_probability(steep, flat, 2000.0) < 0.05
    # 0.1 + 8 x^-1/2 = 0.3 + 3 x^-1/2 at x = 625: the order of 1000 stays; from below it turns.
    small = [fit_power_law(x[:6], np.asarray(f.loss)[:6]) for f in (steep, flat)]
    assert flip_probability(small[0], small[1], 1e5) > 0.9
    assert flip_probability(steep, flat, 1000.0) == pytest.approx(flip_probability(flat, steep, 1000.0), abs=1e-12)


def test_wrong_laws_and_ranges_are_refused() -> None:
    law, two = PowerLaw(0.5, (3.0,), (0.8,), (1.0,)), PowerLaw(0.5, (3.0, 1.0), (0.8, 1.0), (1.0, 1.0))
    with pytest.raises(InvalidValueError, match="one term"):
        crossovers(law, two, 1.0, 2.0)
    with pytest.raises(InvalidValueError, match="low < high"):
        crossovers(law, PowerLaw(0.5, (1.0,), (0.3,), (1.0,)), 2.0, 1.0)
    with pytest.raises(InvalidValueError, match="the same"):
        crossovers(law, law, 1.0, 2.0)
