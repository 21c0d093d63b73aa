"""Rays: their way through a box, views by parallel beams, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.fields import Rays, parallel_rays

BOX = ((-1.0, -2.0, 0.0), (1.0, 2.0, 3.0))


def test_steps_fill_the_way_through_the_box() -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rays = Rays.through_box(rng.uniform(-4, 4, (200, 3)), directions, BOX, steps=400)
    points = rays.points()
    hit = rays.lengths[:, 0] > 0
    assert 20 < hit.sum() < 200
    assert (points[hit] >= BOX[0]).all()
    assert (points[hit] <= BOX[1]).all()
    # What many samples on a long piece of the line find in the box is the length of the steps.
    t = np.linspace(-12, 12, 24_001)
    line = rays.origins[:, None] + t[:, None] * directions[:, None]
    within = ((line >= BOX[0]) & (line <= BOX[1])).all(axis=2).sum(axis=1) * 1e-3
    np.testing.assert_allclose(rays.lengths.sum(axis=1), within, atol=3e-3)


def test_rays_along_an_axis() -> None:
    origins = np.array([[0.0, 0.0, -5.0], [0.0, 3.0, -5.0], [1.0, 0.0, 1.0]])
    rays = Rays.through_box(origins, np.tile([0.0, 0.0, 1.0], (3, 1)), BOX, steps=2)
    np.testing.assert_allclose(rays.lengths.sum(axis=1), [3.0, 0.0, 3.0])


def test_views_turn_about_the_axis() -> None:
    rays = parallel_rays(np.array([0.0, np.pi / 2]), (3, 4), ((-1, -1, -1), (1, 1, 1)), steps=5)
    assert len(rays) == 24
    np.testing.assert_allclose(rays.directions[[0, 12]], [[1, 0, 0], [0, 1, 0]], atol=1e-15)
    np.testing.assert_allclose(rays.origins[:4, 1], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(rays.origins[12:16, 0], [0.75, 0.25, -0.25, -0.75], atol=1e-15)
    np.testing.assert_allclose(rays.origins[[0, 4, 8], 2], [-2 / 3, 0, 2 / 3])
    assert len(rays[3:7]) == 4


def test_places_are_drawn_within_their_steps() -> None:
    rays = parallel_rays(np.zeros(1), (4, 4), BOX, steps=16)
    moved = rays.jittered(0)
    assert (abs(moved.places - rays.places) <= rays.lengths / 2).all()
    assert (moved.places != rays.places).any()
    assert rays.astype(np.float32).places.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Rays(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 4)), np.zeros((2, 5))), ShapeError),
        (lambda: Rays(np.zeros((2, 3)), np.full((2, 3), 2.0), np.zeros((2, 4)), np.zeros((2, 4))), InvalidValueError),
        (lambda: Rays.through_box(np.zeros((2, 3)), np.zeros((2, 3)), BOX, steps=0), InvalidValueError),
        (lambda: Rays.through_box(np.zeros((2, 2)), np.zeros((2, 3)), BOX, steps=1), ShapeError),
        (lambda: parallel_rays(np.zeros(1), (0, 4), BOX), InvalidValueError),
        (lambda: parallel_rays(np.array([np.nan]), (4, 4), BOX), InvalidValueError),
        (lambda: parallel_rays(np.zeros(1), (4, 4), (BOX[1], BOX[0])), InvalidValueError),
    ],
)
def test_impossible_rays_are_refused(make, error) -> None:
    with pytest.raises(error):
        make()
