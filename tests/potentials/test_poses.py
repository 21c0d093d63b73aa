"""Rigid poses: pair sums, quaternions, blocks, invariance, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from systems import cloud

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.potentials import (
    Particles,
    PeriodicPotential,
    RangeSeparatedPotential,
    direct_sum,
    interaction_energy,
    poses,
)
from sci.potentials.poses import rotation_matrices

LIGAND = Particles(np.random.default_rng(1).normal(size=(7, 3)), [1.0, -0.5, 0.25, -0.75, 0.5, -1.0, 0.5])


def random_poses(n: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return Rotation.random(n, rng).as_matrix(), rng.random((n, 3)) * (20, 14, 9)


def pair_sums(receptor: Particles, rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    placed = np.einsum("pab,ib->pia", rotations, LIGAND.positions) + translations[:, None]
    values = direct_sum(receptor, np.ascontiguousarray(placed.reshape(-1, 3)))
    return values.reshape(len(placed), -1) @ LIGAND.charges


def test_energies_are_the_pair_sums():
    receptor = cloud(300)
    rotations, translations = random_poses(200)
    phi = RangeSeparatedPotential(receptor, 1e-8, padding=10.0)
    exact = pair_sums(receptor, rotations, translations)
    found = interaction_energy(phi, LIGAND, rotations, translations)
    assert np.linalg.norm(found - exact) < 1e-7 * np.linalg.norm(exact)


def test_quaternions_and_matrices_are_the_same():
    turns = Rotation.random(50, np.random.default_rng(3))
    quaternions = np.roll(turns.as_quat(), 1, axis=1) * np.linspace(0.1, 9, 50)[:, None]
    np.testing.assert_allclose(rotation_matrices(quaternions), turns.as_matrix(), atol=1e-14)
    phi = RangeSeparatedPotential(cloud(50), 1e-6, padding=10.0)
    translations = random_poses(50)[1]
    np.testing.assert_array_equal(
        interaction_energy(phi, LIGAND, quaternions, translations),
        interaction_energy(phi, LIGAND, rotation_matrices(quaternions), translations),
    )


def test_blocks_change_nothing_and_bound_the_points_at_once(monkeypatch):
    seen = []
    receptor = cloud(40)

    def phi(points: np.ndarray) -> np.ndarray:
        seen.append(len(points))
        return direct_sum(receptor, points)

    rotations, translations = random_poses(101)
    whole = interaction_energy(phi, LIGAND, rotations, translations)
    monkeypatch.setattr(poses, "BLOCK_POINTS", 70)
    np.testing.assert_allclose(interaction_energy(phi, LIGAND, rotations, translations), whole, rtol=1e-13)
    assert seen == [707] + [70] * 10 + [7]


def test_moving_both_changes_nothing():
    receptor, turn, shift = cloud(60), Rotation.from_rotvec([0.3, -1.0, 0.5]).as_matrix(), np.array([5.0, -3.0, 1.0])
    rotations, translations = random_poses(20)
    moved = Particles(receptor.positions @ turn.T + shift, receptor.charges)
    before = interaction_energy(RangeSeparatedPotential(receptor, 1e-9, padding=8.0), LIGAND, rotations, translations)
    phi = RangeSeparatedPotential(moved, 1e-9, padding=8.0)
    after = interaction_energy(phi, LIGAND, turn @ rotations, translations @ turn.T + shift)
    np.testing.assert_allclose(after, before, atol=1e-8 * np.abs(before).max())


def test_poses_in_a_periodic_cell():
    receptor = cloud(30)
    phi = PeriodicPotential(Particles(receptor.positions, receptor.charges, cell=np.diag([22.0, 16.0, 12.0])), 1e-8)
    rotations, translations = random_poses(10)
    placed = LIGAND.positions @ rotations[3].T + translations[3]
    found = interaction_energy(phi, LIGAND, rotations, translations)
    assert found[3] == pytest.approx(phi(placed) @ LIGAND.charges, rel=1e-10)
    again = interaction_energy(phi, LIGAND, rotations, translations + np.array([22.0, -16.0, 24.0]))
    np.testing.assert_allclose(again, found, atol=1e-7 * np.abs(found).max())


def test_no_pose_at_all():
    phi = RangeSeparatedPotential(cloud(5), 1e-3)
    assert interaction_energy(phi, LIGAND, np.empty((0, 3, 3)), np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("rotations", "error", "message"),
    [
        (np.eye(3), ShapeError, "rotations has shape"),
        (np.tile(np.eye(3), (3, 1, 1)), ShapeError, "there are 2 translations"),
        (np.tile(np.diag([1.0, 1.0, -1.0]), (2, 1, 1)), InvalidValueError, "2 of 2 matrices are no rotations"),
        (np.stack([np.eye(3), 1.1 * np.eye(3)]), InvalidValueError, "first at index 1"),
        (np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]]), InvalidValueError, "quaternion 1 has length zero"),
        (np.array([[1.0, 0, 0, 0], [np.nan, 0, 0, 0]]), InvalidValueError, "NaN"),
        (np.array([["a"] * 4] * 2), DTypeError, "rotations"),
    ],
)
def test_bad_rotations_are_named(rotations, error, message):
    with pytest.raises(error, match=message):
        interaction_energy(lambda x: x[:, 0], LIGAND, rotations, np.zeros((2, 3)))


def test_around_a_molecule(test_data):
    from sci.io import read_structure

    receptor = read_structure(test_data / "structures" / "mache.pqr")
    rng = np.random.default_rng(7)
    rotations = Rotation.random(60, rng).as_matrix()
    outward = rng.normal(size=(60, 3))
    outward *= 45 / np.linalg.norm(outward, axis=1, keepdims=True)
    translations = receptor.positions.mean(axis=0) + outward
    phi = RangeSeparatedPotential(receptor, 1e-6, padding=25.0)
    exact = pair_sums(receptor, rotations, translations)
    found = interaction_energy(phi, LIGAND, rotations, translations)
    assert np.linalg.norm(found - exact) < 1e-4 * np.linalg.norm(exact)
