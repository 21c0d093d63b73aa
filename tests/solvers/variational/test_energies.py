"""The densities against their formulas at large and small arguments, and the arguments that they refuse."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.solvers import DoubleWell, IonGas, MinimalSurface, PLaplacian

P = np.array([[3.0, 0.0, 1e-4], [4.0, 0.0, 0.0]])
U = np.zeros(3)


def test_p_laplacian_is_the_power_of_the_gradient():
    found = PLaplacian(3.0, regularization=1e-6).density((), U, P)
    np.testing.assert_allclose(found, [125 / 3, 0.0, 1e-12 / 3], rtol=2e-4, atol=1e-17)
    assert PLaplacian(2.0, regularization=1e-3).density((), U, P)[0] == pytest.approx(12.5, rel=1e-6)


def test_minimal_surface_remainder_of_a_step_backwards():
    """From slope 100 to -100 and back: the tangent falls below zero, where the quotient would cancel."""
    p, q = np.full((2, 1), 100.0), np.full((2, 1), -200.0)
    area = MinimalSurface()
    slope = (area.derivative((), U[:1], p)[1] * q).sum()
    found = area.remainder((), U[:1], p, U[:1], q)
    assert found == pytest.approx(area.density((), U[:1], p + q) - area.density((), U[:1], p) - slope, rel=1e-14)


def test_ions_at_potentials_from_tiny_to_overflow():
    u = np.array([1e-9, 1.0, 50.0, 800.0, -800.0])
    gas = IonGas(np.full(5, 2.0))
    np.testing.assert_allclose(gas.density((), u, None)[:3], [1e-18, 2 * (np.cosh(1) - 1), 2 * np.cosh(50)], rtol=1e-6)
    assert np.isposinf(gas.density((), u, None)[3:]).all()
    np.testing.assert_allclose(gas.derivative((), u, None)[0][:3], 2 * np.sinh(u[:3]), rtol=1e-6)
    assert not np.isnan(gas.derivative((), u, None)[0]).any()
    rest = gas.remainder((), np.zeros(5), None, u, None)
    np.testing.assert_allclose(rest[:3], gas.density((), u, None)[:3], rtol=1e-6)
    assert np.isposinf(rest[3:]).all()


def test_weak_potentials_have_the_screening_of_any_ions():
    u = np.array([1e-5])
    for valences, numbers in (((1, -1), None), ((2, -1), (1, 2)), ((3, -2, 1), (1, 2.5, 2))):
        gas = IonGas(np.full(1, 3.0), valences=valences, numbers=numbers)
        assert gas.derivative((), u, None)[0][0] == pytest.approx(3e-5, rel=1e-4)


@pytest.mark.parametrize("size", [1e-150, 1e-17, 1e-9, 1e-3, 0.0999, 0.1001, 1.0])
def test_ions_at_small_potentials_keep_every_digit(size):
    u = np.array([size, -size])
    gas = IonGas(np.ones(2))
    with localcontext() as context:
        context.prec = 400
        exact = [(Decimal(float(y)).exp() + (-Decimal(float(y))).exp()) / 2 - 1 for y in u]
        slopes = [(Decimal(float(y)).exp() - (-Decimal(float(y))).exp()) / 2 for y in u]
        exact, slopes = [float(y) for y in exact], [float(y) for y in slopes]
    np.testing.assert_allclose(gas.density((), u, None), exact, rtol=1e-14)
    np.testing.assert_allclose(gas.derivative((), u, None)[0], slopes, rtol=1e-15)
    np.testing.assert_allclose(gas.remainder((), 0 * u, None, u, None), exact, rtol=1e-14)


def test_double_well_splits_into_convex_and_concave():
    well, u, v = DoubleWell(2.0), np.linspace(-2, 2, 9), np.ones(9)
    rest = well.convex_hessian((), u, None, v, None)[0] - well.hessian((), u, None, v, None)[0]
    np.testing.assert_allclose(rest, 2.0)
    exact = [Fraction(2, 4) * ((Fraction(x) + 1) ** 2 - 1) ** 2 for x in u.tolist()]
    taylor = well.density((), u, None) + well.derivative((), u, None)[0] + well.remainder((), u, None, v, None)
    np.testing.assert_allclose(taylor, [float(x) for x in exact], atol=1e-13)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: PLaplacian(1.0), InvalidValueError, "exponent is 1"),
        (lambda: PLaplacian(30.0), InvalidValueError, "exponent is 30"),
        (lambda: PLaplacian(2.0, regularization=0.0), InvalidValueError, "regularization is 0"),
        (lambda: DoubleWell(-1.0), InvalidValueError, "strength is -1"),
        (lambda: IonGas(-np.ones(3)), InvalidValueError, "negative"),
        (lambda: IonGas(np.ones(3), np.ones(4)), ShapeError, "shift has shape"),
        (lambda: IonGas(np.ones(3), valences=(1, -2)), InvalidValueError, "net charge"),
        (lambda: IonGas(np.ones(3), valences=(1, 0)), InvalidValueError, "valences"),
        (lambda: IonGas(np.full(3, np.nan)), InvalidValueError, "strength"),
        (lambda: IonGas(np.ones(3), np.nan), InvalidValueError, "shift is nan"),
        (lambda: IonGas(np.ones(3), -np.inf), InvalidValueError, "shift is -inf"),
        (lambda: IonGas(np.ones(3), numbers=(np.inf, np.inf)), InvalidValueError, "numbers"),
        (lambda: IonGas(np.ones(3), numbers=(1.0, np.nan)), InvalidValueError, "numbers"),
    ],
)
def test_wrong_parameters_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
