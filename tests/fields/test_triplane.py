"""Tri-plane fields: values, grids, states and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.fields import TriPlane, parallel_rays
from sci.io import load, save
from sci.nn import ModelState, Tape

BOX = ((-1.0, 0.0, 2.0), (1.0, 3.0, 2.5))


def test_points_grids_and_rays_see_one_field() -> None:
    field = TriPlane(8, features=4, hidden=8, outputs=2, box=BOX, dtype=np.float64)
    grid = field.on_grid((3, 4, 5))
    assert grid.shape == (3, 4, 5, 2)
    np.testing.assert_allclose(grid[1, 2, 3], field(np.array([[0.0, 1.875, 2.35]]))[0], rtol=1e-13)
    rays = parallel_rays(np.zeros(1), (2, 2), BOX, steps=64)
    values = field(rays.points().reshape(-1, 3)).reshape(4, 64, 2)
    np.testing.assert_allclose(field.integrals(rays), (values * rays.lengths[..., None]).sum(axis=1), rtol=1e-12)


def test_gradients_reach_points_and_parameters() -> None:
    field = TriPlane(8, features=4, hidden=8, box=BOX, dtype=np.float64)
    tape = Tape()
    parameters, points = tape.watch([field.parameters, np.array([[0.1, 1.0, 2.2]])])
    field.forward(parameters, points).sum().backward()
    assert abs(points.gradient).max() > 0
    assert all(abs(p.gradient).max() > 0 for p in parameters.values())


def test_a_field_is_stored_and_read(tmp_path: Path) -> None:
    field = TriPlane(8, features=4, hidden=8, box=BOX, seed=3)
    save(tmp_path / "field.h5", field)
    again = load(tmp_path / "field.h5")
    assert type(again) is TriPlane
    assert again.box == field.box
    points = np.random.default_rng(0).uniform(*BOX, (20, 3))
    np.testing.assert_array_equal(again(points), field(points))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: TriPlane(1), InvalidValueError),
        (lambda: TriPlane(4, hidden=0), InvalidValueError),
        (lambda: TriPlane(4, dtype=np.int32), InvalidValueError),
        (lambda: TriPlane(4, box=((0, 0, 0), (1, 1, 0))), InvalidValueError),
        (lambda: TriPlane(4, parameters={"planes": np.zeros((3, 4, 4, 16))}), ShapeError),
        (lambda: TriPlane(4).with_parameters({**TriPlane(4).parameters, "b0": np.full(32, np.nan)}), InvalidValueError),
        (lambda: TriPlane.from_state(ModelState("other", {}, {})), InvalidValueError),
    ],
)
def test_impossible_fields_are_refused(make, error) -> None:
    with pytest.raises(error):
        make()
