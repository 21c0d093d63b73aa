"""Functions at places without data against the dense Gaussian process given the same messages."""

from __future__ import annotations

import numpy as np
import pytest
from state_space_cases import Case, case, dense

from sci.completion import Axis, FunctionalFactor
from sci.errors import InvalidValueError, ShapeError


@pytest.mark.parametrize("smoothness", [0.5, 1.5, 2.5])
def test_unseen_places_are_exact_inside_between_and_outside(smoothness: float) -> None:
    given = case(smoothness, duplicates=False)
    low, high = given.points[0], given.points[-1]
    factor = FunctionalFactor(
        Axis("x", given.points), smoothness, given.lengths, given.variance, given.precision, given.information
    )
    asked = np.concatenate([given.points[[5, 2]], [low - 0.4, high + 0.3, high + 500.0], np.linspace(low, high, 9)])
    mean, covariance = factor.at(asked)
    places = np.unique(np.concatenate([given.points, asked]))
    known, wanted = np.searchsorted(places, given.points), np.searchsorted(places, asked)
    precision, information = np.zeros((len(places), 2, 3, 3)), np.zeros((len(places), 2, 3))
    precision[known], information[known] = given.precision, given.information
    scaled = (places - low) / (high - low)
    union = Case(scaled, given.lengths, given.variance, precision, information, smoothness)
    for group in range(2):
        exact = dense(union, group)
        np.testing.assert_allclose(mean[:, group], exact[0][wanted], rtol=0, atol=1e-13)
        np.testing.assert_allclose(covariance[:, group], exact[1][wanted], rtol=0, atol=5e-15)
    np.testing.assert_allclose(covariance[4], given.variance[:, :, None] * np.eye(3), atol=1e-12)  # the prior, far away


def test_categories_are_looked_up() -> None:
    axis = Axis("site", np.array(["a", "b", "c"]))
    precision, information = np.full((3, 1, 1, 1), 1.0), np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    factor = FunctionalFactor(axis, 0.0, np.ones((1, 1)), np.ones((1, 1)), precision, information)
    mean, covariance = factor.at(np.array(["c", "a", "c"]))
    np.testing.assert_allclose(mean.ravel(), [1.5, 0.5, 1.5])
    np.testing.assert_allclose(covariance.ravel(), 0.5)
    with pytest.raises(InvalidValueError, match="axis site: d in row 0 is none of its 3 places"):
        factor.at(np.array(["d"]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="information has shape"):
        FunctionalFactor(
            Axis("x", np.arange(2.0)), 1.5, np.ones((1, 1)), np.ones((1, 1)), np.ones((2, 1, 1, 1)), np.ones((3, 1, 1))
        )
