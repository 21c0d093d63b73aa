"""Predictions of mixtures: derivatives against differences, the best ratio, and both extrapolations."""

from __future__ import annotations

import numpy as np
import pytest

from sci.ensembles import exact_transport
from sci.errors import InvalidValueError, ShapeError
from sci.scaling import MixturePredictor, extrapolate, fit_mixture

RNG = np.random.default_rng(0)
SOURCES = [RNG.normal(loc=m, size=(40, 3)) for m in (0.0, 1.0, 2.5)]
TESTED = RNG.normal(loc=0.7, size=(50, 3))
RATIOS = RNG.dirichlet(np.ones(3), size=20)
VALUES = 0.5 + 0.3 * RATIOS[:, 0] - 0.2 * RATIOS[:, 1] ** 2 + 0.1 * RATIOS[:, 0] * RATIOS[:, 1]
Q = np.array([0.5, 0.3, 0.2])


@pytest.fixture(scope="module")
def fitted() -> MixturePredictor:
    return fit_mixture(SOURCES, TESTED, RATIOS, VALUES, reg=0.5)


def test_performances_of_the_form_are_predicted(fitted: MixturePredictor) -> None:
    assert fitted.residual < 1e-6
    np.testing.assert_allclose(fitted.predict(Q), 0.5 + 0.3 * 0.5 - 0.2 * 0.3**2 + 0.1 * 0.5 * 0.3, atol=1e-5)


def test_derivatives_by_the_ratios_are_those_of_differences() -> None:
    coefficients = RNG.normal(size=12)
    model = MixturePredictor(SOURCES, TESTED, coefficients, 0.0, 0.5)
    for away in (np.array([1.0, -1, 0]), np.array([0, 1.0, -1]), np.array([2.0, -1, -1])):
        step = 1e-4 * away
        for value, slope in (
            (lambda q: model.transport(q)[0], model.transport(Q)[1]),
            (model.predict, model.gradient(Q)),
        ):
            np.testing.assert_allclose((value(Q + step) - value(Q - step)) / 2e-4, slope @ away, atol=2e-6)


def test_the_transport_tends_to_the_exact_one() -> None:
    cost = ((np.concatenate(SOURCES)[:, None] - TESTED) ** 2).sum(axis=2)
    exact = exact_transport(cost, a=np.repeat(Q / 40, 40), b=np.full(50, 1 / 50))[0]
    close = MixturePredictor(SOURCES, TESTED, np.zeros(12), 0.0, 0.1).transport(Q)[0]
    # The entropy relative to the product of the weights is between 0 and the logarithm of the points.
    assert exact < close < exact + 0.1 * np.log(50)


def test_labels_move_classes_apart() -> None:
    labels = [np.full(40, k) for k in range(3)]
    told = fit_mixture(
        SOURCES, TESTED, RATIOS, VALUES, reg=0.5, labels=labels, validation_labels=np.ones(50, int), label_cost=7.0
    )
    plain = MixturePredictor(SOURCES, TESTED, np.zeros(12), 0.0, 0.5)
    at = [0.5, 0.0, 0.5]  # no sample has the class of the validation points
    np.testing.assert_allclose(told.transport(at)[0], plain.transport(at)[0] + 7.0, rtol=1e-6)


def test_the_best_ratio_is_that_of_a_scan(fitted: MixturePredictor) -> None:
    best = fitted.best()
    grid = [np.array([i, j, 20 - i - j]) / 20 for i in range(0, 21, 4) for j in range(0, 21 - i, 4)]
    assert fitted.predict(best) >= max(fitted.predict(q) for q in grid) - 1e-6
    np.testing.assert_allclose(best, [1, 0, 0], atol=1e-3)


def test_both_ways_to_more_samples_are_exact_where_they_say() -> None:
    assert extrapolate((75.0, 150.0), (0.3 + 0.1 * np.log(75), 0.3 + 0.1 * np.log(150)), 600.0) == pytest.approx(
        0.3 + 0.1 * np.log(600), rel=1e-12
    )
    error = {n: 3 * n**-0.4 for n in (75.0, 150.0, 600.0)}
    found = extrapolate((75.0, 150.0), (1 - error[75.0], 1 - error[150.0]), 600.0, map="power")
    assert found == pytest.approx(1 - error[600.0], rel=1e-12)
    with pytest.raises(InvalidValueError, match="below 1"):
        extrapolate((75.0, 150.0), (0.5, 1.0), 600.0, map="power")
    with pytest.raises(InvalidValueError, match="different"):
        extrapolate((75.0, 75.0), (0.5, 0.6), 600.0)


def test_wrong_arguments_are_refused(fitted: MixturePredictor) -> None:
    with pytest.raises(InvalidValueError, match="sum 1"):
        fitted.predict([0.5, 0.5, 0.5])
    with pytest.raises(ShapeError):
        fitted.predict([0.5, 0.5])
    with pytest.raises(ShapeError, match="at least 12"):
        fit_mixture(SOURCES, TESTED, RATIOS[:8], VALUES[:8])
    with pytest.raises(ShapeError, match="two sources"):
        fit_mixture(SOURCES[:1], TESTED, RATIOS, VALUES)
    with pytest.raises(InvalidValueError, match="go together"):
        fit_mixture(SOURCES, TESTED, RATIOS, VALUES, label_cost=1.0)
