"""The short range within its cutoff, against the sum over all pairs of the kernel less its Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
from systems import cloud

from sci.potentials import Coulomb, Yukawa, split_kernel
from sci.potentials.range_separated.short_range import ShortRange
from sci.tensor.boxes.grid import BoxGrid, Tiles

SPLITS = [(Coulomb(), 0.5), (Yukawa(0.2), 0.5), (Yukawa(2.0), 0.5), (Yukawa(0.2), 0.0), (Yukawa(2.0), 0.0)]


def expected(short: ShortRange, points: np.ndarray) -> np.ndarray:
    split = short.split
    distance = np.linalg.norm(points[:, None] - short.sources[None, :, :3], axis=2)
    value = split.kernel(distance) - split.gaussians.of_square(distance**2)
    return np.where(distance < split.cutoff, value, 0.0) @ short.sources[:, 3]


@pytest.mark.parametrize(("kernel", "alpha"), SPLITS, ids=str)
def test_points_and_grids_sum_the_pairs_within_the_cutoff(kernel, alpha):
    particles = cloud(200)
    short = ShortRange.of(particles.positions, particles.charges, split_kernel(kernel, 1e-9, 40.0, alpha))
    points = np.random.default_rng(0).random((500, 3)) * [22.0, 16.0, 11.0] - 1.0
    grid = BoxGrid(((-1.0, 21.0), (-1.0, 15.0), (-1.0, 10.0)), (3, 2, 2))
    out = np.zeros((500, 4))
    short.add_to(out, points, Tiles.of(points, grid))
    exact = expected(short, points)
    np.testing.assert_allclose(out[:, 0], exact, atol=1e-8 * np.abs(exact).max())
    step = 1e-4
    for axis in range(3):
        moved = [expected(short, points + sign * step * np.eye(3)[axis]) for sign in (1, -1)]
        slope = (moved[0] - moved[1]) / (2 * step)
        smooth = np.abs(slope) < 1e3  # no pair crossed the cutoff, none is very close
        np.testing.assert_allclose(out[smooth, 1 + axis], slope[smooth], atol=1e-4 * np.abs(slope[smooth]).max())
    axes = [np.linspace(0.0, top, n) for top, n in ((20.0, 6), (14.0, 5), (9.0, 4))]
    values = np.zeros((6, 5, 4))
    short.add_to_grid(values, *axes)
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(values.ravel(), expected(short, nodes), atol=1e-8 * np.abs(exact).max())


def test_cells_follow_the_charges():
    particles = cloud(50, size=(500.0, 500.0, 500.0))
    short = ShortRange.of(particles.positions, particles.charges, split_kernel(Coulomb(), 1e-6, 900.0, 2.0))
    assert short.grid.size <= 32 * 50 + 32
    assert np.diff(short.cell_start).sum() == 50
    assert "50 charges" in repr(short)
