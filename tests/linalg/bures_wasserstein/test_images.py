"""The map that a metric and a power add: its inverse and its derivative."""

from __future__ import annotations

import numpy as np
import pytest
from bures_cases import definite, tangent

from sci.errors import DTypeError, InvalidValueError
from sci.linalg import symmetric_function
from sci.linalg.bures_wasserstein.images import Images

METRIC = definite((3, 3), 20.0, 1)


@pytest.mark.parametrize("power", [1.0, 0.5, -2.0])
@pytest.mark.parametrize("metric", [None, METRIC])
def test_the_map_and_its_inverses(power: float, metric: np.ndarray | None) -> None:
    images, p, v = Images(metric, power), definite((4, 3, 3), 10.0, 2), tangent((4, 3, 3), 3)
    point = images.point(p, "p")
    powered = symmetric_function(p, "power", exponent=power)
    factor = np.eye(3)
    if metric is not None:
        values, vectors = np.linalg.eigh(metric)
        factor = (vectors * np.sqrt(values)) @ vectors.T
    np.testing.assert_allclose(factor @ point.image @ factor, powered, rtol=0, atol=1e-13 * abs(powered).max())
    np.testing.assert_allclose(images.back(point.image, "it"), p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(images.pulled(point, images.pushed(point, v)), v, rtol=0, atol=1e-12)
    h = 1e-5
    ends = [images.point(p + sign * h * v, "p").image for sign in (1, -1)]
    pushed = images.pushed(point, v)
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), pushed, rtol=0, atol=1e-7 * abs(pushed).max())
    assert images.plain == (power == 1 and metric is None)
    assert images.order == (None if metric is None else 3)


@pytest.mark.parametrize("power", [0.5, -1.0])
def test_differences_of_images_keep_their_digits(power: float) -> None:
    images, p = Images(METRIC, power), definite((3, 3), 10.0, 4)
    step = 1e-12 * tangent((3, 3), 5)
    q = p + step
    start, _, difference = images.pair(p, q)
    exact = images.pushed(start, q - p)
    np.testing.assert_allclose(difference, exact, rtol=0, atol=1e-10 * abs(exact).max())


def test_what_it_refuses() -> None:
    with pytest.raises(InvalidValueError, match="power is nan"):
        Images(None, float("nan"))
    with pytest.raises(InvalidValueError, match="overflows float64"):
        Images(None, 2.0).point(1e200 * np.eye(3), "p")
    with pytest.raises(InvalidValueError, match="p to the power, in the metric: the matrix is not positive definite"):
        Images(None, 4.0).point(np.diag([1.0, 1e-5]), "p")
    with pytest.raises(DTypeError, match="p is float64 and v is float32"):
        Images(None, 1.0).at(np.eye(3), v=np.eye(3, dtype="f4"))
