"""Samples of three planes: exact for bilinear functions of two coordinates, with gradients for both arguments."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from sci.errors import ShapeError
from sci.fields import sample_planes
from sci.nn import Tape

RNG = np.random.default_rng(0)
BOX = ((-1.0, 0.0, 2.0), (1.0, 3.0, 2.5))
PLANES = RNG.normal(size=(3, 6, 6, 4))


def inside(m: int) -> np.ndarray:
    return RNG.uniform(*BOX, size=(m, 3))


def test_samples_are_those_of_scipy() -> None:
    points = inside(50)
    nodes = (points - BOX[0]) / np.subtract(BOX[1], BOX[0]) * 5
    expected = np.zeros((50, 4))
    for plane, axes in enumerate(((0, 1), (0, 2), (1, 2))):
        for k in range(4):
            expected[:, k] += map_coordinates(PLANES[plane, :, :, k], nodes[:, axes].T, order=1) / 3
    np.testing.assert_allclose(sample_planes(PLANES, points, box=BOX), expected, rtol=0, atol=1e-14)


def test_bilinear_functions_are_exact() -> None:
    x, y, z = (np.linspace(a, b, 6) for a, b in zip(*BOX))
    planes = np.stack([2 + x[:, None] * y, x[:, None] - 3 * z, y[:, None] * z])[..., None]
    p = inside(40)
    expected = (2 + p[:, 0] * p[:, 1] + p[:, 0] - 3 * p[:, 2] + p[:, 1] * p[:, 2]) / 3
    np.testing.assert_allclose(sample_planes(planes, p, box=BOX)[:, 0], expected, rtol=1e-13)


def test_gradients_are_those_of_differences() -> None:
    points, dout, step = inside(9), RNG.normal(size=(9, 4)), 1e-6
    planes, x = Tape().watch([PLANES, points])
    sample_planes(planes, x, box=BOX).backward(dout)

    def value(a: np.ndarray, b: np.ndarray) -> float:
        return float((sample_planes(a, b, box=BOX) * dout).sum())

    direction = RNG.normal(size=PLANES.shape)
    slope = (value(PLANES + step * direction, points) - value(PLANES - step * direction, points)) / (2 * step)
    assert (planes.gradient * direction).sum() == pytest.approx(slope, rel=1e-8)
    direction = RNG.normal(size=points.shape)
    slope = (value(PLANES, points + step * direction) - value(PLANES, points - step * direction)) / (2 * step)
    assert (x.gradient * direction).sum() == pytest.approx(slope, rel=1e-7)


def test_beyond_the_box_the_nearest_point_counts_and_nothing_moves() -> None:
    points = np.array([[-9.0, 1.0, 2.2], [-1.0, 1.0, 2.2]])
    both = sample_planes(PLANES, points, box=BOX)
    np.testing.assert_array_equal(both[0], both[1])
    x = Tape().watch(points)
    sample_planes(PLANES, x, box=BOX).sum().backward()
    assert x.gradient[0, 0] == 0
    assert x.gradient[0, 1] != 0
    np.testing.assert_allclose(sample_planes(PLANES, np.array([BOX[1]]), box=BOX)[0], PLANES[:, -1, -1].mean(axis=0))


@pytest.mark.parametrize(
    ("planes", "points"),
    [
        (PLANES[:2], np.zeros((2, 3))),
        (PLANES[:, :5], np.zeros((2, 3))),
        (PLANES[:, :1, :1], np.zeros((2, 3))),
        (PLANES, np.zeros((2, 2))),
        (PLANES, np.zeros((2, 3), np.float32)),
    ],
)
def test_what_does_not_fit_is_refused(planes: np.ndarray, points: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        sample_planes(planes, points, box=BOX)
