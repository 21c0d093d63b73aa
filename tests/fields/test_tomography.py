"""Fits of fields to integrals: error against the number of views, patches beside whole views, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.fields import Rays, TriPlane, fit_field, parallel_rays

BOX = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
CENTERS = np.array([[-0.3, 0.2, 0.1], [0.35, -0.25, -0.2], [0.0, 0.4, 0.3]])
WIDTHS, HEIGHTS = np.array([0.25, 0.3, 0.2]), np.array([1.0, 0.7, -0.5])


def gaussians(points: np.ndarray) -> np.ndarray:
    square = ((points[..., None, :] - CENTERS) ** 2).sum(axis=-1)
    return (HEIGHTS * np.exp(-square / (2 * WIDTHS**2))).sum(axis=-1)


def line_integrals(rays: Rays) -> np.ndarray:
    """Exact integrals of the Gaussians along whole lines."""
    offset = rays.origins[:, None] - CENTERS
    along = np.einsum("rkx,rx->rk", offset, rays.directions)
    square = (offset**2).sum(axis=2) - along**2
    return (HEIGHTS * WIDTHS * np.sqrt(2 * np.pi) * np.exp(-square / (2 * WIDTHS**2))).sum(axis=1)[:, None]


def views(n: int) -> Rays:
    return parallel_rays(np.arange(n) * np.pi / n, (16, 24), BOX, steps=32)


def error(field: TriPlane) -> float:
    axes = [(np.arange(n) + 0.5) / n * 2 - 1 for n in (24, 24, 16)]
    truth = gaussians(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    return float(np.linalg.norm(field.on_grid((24, 24, 16))[..., 0] - truth) / np.linalg.norm(truth))


def fitted(rays: Rays, **options) -> TriPlane:
    start = TriPlane(24, features=8, hidden=16, box=BOX)
    settings = {"steps": 300, "batch": 384, "learning_rate": 0.02, "smoothness": 1e-3, **options}
    return fit_field(start, rays, line_integrals(rays), **settings)[0]


def test_more_views_show_more() -> None:
    few, some = error(fitted(views(3))), error(fitted(views(12)))
    assert some < 0.15
    assert some < 0.7 * few


def test_patches_see_as_much_as_whole_views_from_as_many_rays() -> None:
    rays = views(12)
    fresh = parallel_rays(np.array([0.1, 0.9, 2.0]), (16, 24), BOX, steps=32)
    truth = line_integrals(fresh)
    errors = {}
    for annealed in (False, True):
        field = fitted(rays, steps=500, patch=12, views=(12, 16, 24), annealed=annealed)
        errors[annealed] = float(((field.integrals(fresh) - truth) ** 2).mean())
    assert errors[True] < 1.5 * errors[False]
    assert errors[True] < 0.02 * float((truth**2).mean())


def test_opacities_are_fitted_too() -> None:
    rays = views(6)
    depth = np.maximum(line_integrals(rays), 0)
    start = TriPlane(16, features=4, hidden=16, box=BOX)
    field, history = fit_field(start, rays, 1 - np.exp(-depth), mode="composite", steps=200, learning_rate=0.03)
    assert history.losses[-20:].mean() < 0.1 * history.losses[:5].mean()
    found = field.integrals(rays, mode="composite")
    assert ((found >= 0) & (found <= 1)).all()


def test_units_do_not_matter() -> None:
    rays = views(3)
    values = line_integrals(rays)
    start = TriPlane(8, features=4, hidden=8, box=BOX, dtype=np.float64)
    small, large = (fit_field(start, rays, unit * values, steps=20)[0] for unit in (1.0, 1024.0))
    np.testing.assert_allclose(large.integrals(rays), 1024 * small.integrals(rays), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"steps": 0}, InvalidValueError),
        ({"batch": 0}, InvalidValueError),
        ({"patch": 4}, ShapeError),
        ({"patch": 4, "views": (3, 16, 23)}, ShapeError),
        ({"patch": 1, "views": (3, 16, 24)}, InvalidValueError),
    ],
)
def test_impossible_fits_are_refused(options, kind) -> None:
    with pytest.raises(kind):
        fitted(views(3), **options)


def test_measurements_have_a_number_for_each_ray() -> None:
    rays = views(3)
    with pytest.raises(ShapeError):
        fit_field(TriPlane(4), rays, np.zeros((len(rays), 2)))
    with pytest.raises(InvalidValueError):
        fit_field(TriPlane(4), rays, np.full((len(rays), 1), np.nan))
