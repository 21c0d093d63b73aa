"""Power laws, the optimum of given operations, and frontiers, in any unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.errors import InvalidValueError, ShapeError
from sci.scaling import PowerLaw, compute_optimum, frontier

CHINCHILLA = PowerLaw(1.69, (406.4, 410.7), (0.34, 0.28), (1.0, 1.0))


def test_a_law_and_its_inverse() -> None:
    law = PowerLaw(2.0, (0.5,), (0.13,), (3e4,))
    x = np.geomspace(10, 1e8, 7)
    np.testing.assert_allclose(law(x), 2.0 + 0.5 * (x / 3e4) ** -0.13, rtol=1e-15)
    np.testing.assert_allclose([law.inverse(float(loss)) for loss in np.asarray(law(x))], x, rtol=1e-9)
    assert law.inverse(2.0) == law.inverse(1.0) == np.inf


@pytest.mark.parametrize("operations", [1e18, 1e20, 1e22])
def test_the_optimum_is_the_least_loss_of_a_scan(operations: float) -> None:
    size = np.geomspace(1e6, 1e13, 400_001)
    losses = np.asarray(CHINCHILLA(size, operations / (6 * size)))
    best = compute_optimum(CHINCHILLA, operations)
    np.testing.assert_allclose(best.size, size[losses.argmin()], rtol=5e-5)
    np.testing.assert_allclose(best.loss, losses.min(), rtol=1e-9)
    np.testing.assert_allclose(6 * best.size * best.samples, operations, rtol=1e-12)


@given(st.integers(-250, 250), st.integers(-100, 100))
def test_units_of_size_and_loss_do_not_move_the_optimum(size: int, loss: int) -> None:
    amplitudes = (406.4 * 2.0 ** (loss), 410.7 * 2.0**loss)
    law = PowerLaw(1.69 * 2.0**loss, amplitudes, (0.34, 0.28), (2.0**size, 1.0))
    best, plain = compute_optimum(law, 1e20 * 2.0**size), compute_optimum(CHINCHILLA, 1e20)
    np.testing.assert_allclose(best.size, plain.size * 2.0**size, rtol=1e-9)
    np.testing.assert_allclose(best.loss, plain.loss * 2.0**loss, rtol=1e-9)


def test_the_frontier_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(0)
    operations, loss = rng.integers(1, 40, 200).astype(float), rng.random(200)
    found = frontier(operations, loss)
    beaten = [
        bool(((operations <= c) & (loss <= v) & ((operations < c) | (loss < v))).any())
        for c, v in zip(operations, loss)
    ]
    assert sorted(found) == [k for k in range(200) if not beaten[k]]
    assert (np.diff(loss[found]) < 0).all()
    assert (np.diff(operations[found]) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((1.0, (1.0,), (0.5, 0.5), (1.0,)), ShapeError),
        ((1.0, (), (), ()), ShapeError),
        ((-1.0, (1.0,), (0.5,), (1.0,)), InvalidValueError),
        ((1.0, (1.0,), (0.0,), (1.0,)), InvalidValueError),
        ((1.0, (1.0,), (0.5,), (np.nan,)), InvalidValueError),
    ],
)
def test_laws_that_are_none_are_refused(arguments: Any, error: type) -> None:
    with pytest.raises(error):
        PowerLaw(*arguments)


def test_wrong_points_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="expected positive"):
        PowerLaw(1.0, (1.0,), (0.5,), (1.0,))(0.0)
    with pytest.raises(ShapeError, match="one a term"):
        CHINCHILLA(1e9)
    with pytest.raises(InvalidValueError, match="one term"):
        CHINCHILLA.inverse(2.0)
    with pytest.raises(InvalidValueError, match="two terms"):
        compute_optimum(PowerLaw(1.0, (1.0,), (0.5,), (1.0,)), 1e20)
