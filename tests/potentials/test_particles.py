"""Particles: validation, and the search for two at one place against all pairs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.potentials.particles import SAME_PLACE, Particles, coincident_pair

POSITIONS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.5]])


def test_fields_and_properties():
    particles = Particles(POSITIONS, [1, -1, 0.25], radii=[1, 2, 0], names=["A", "B", "C"], cell=np.eye(3) * 9)
    assert (particles.n, particles.total_charge) == (3, 0.25)
    assert particles.names == ("A", "B", "C")
    assert particles.positions is POSITIONS
    assert {a.dtype for a in (particles.charges, particles.radii, particles.cell)} == {np.dtype("float64")}
    assert particles.to_host() is particles


def test_total_charge_does_not_drift():
    n = 1000
    positions = np.arange(3.0 * n).reshape(n, 3)
    assert Particles(positions, np.tile([0.1, -0.1], n // 2)).total_charge == 0.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"positions": POSITIONS[:, :2]}, ShapeError, r"positions has shape \(3, 2\)"),
        ({"positions": np.zeros((0, 3)), "charges": []}, InvalidValueError, "no particle"),
        ({"positions": POSITIONS * [np.nan, 1, 1]}, InvalidValueError, "positions holds"),
        ({"positions": POSITIONS.astype(complex)}, DTypeError, "complex"),
        ({"charges": [1, 2]}, ShapeError, "charges has shape"),
        ({"charges": [1, np.inf, 2]}, InvalidValueError, "charges holds"),
        ({"radii": [1, 2]}, ShapeError, "radii has shape"),
        ({"radii": [1, 2, -0.5]}, InvalidValueError, "-0.5"),
        ({"names": ("A", "B")}, ShapeError, "2 entries for 3 particles"),
        ({"names": "ABC"}, InvalidValueError, "str for each"),
        ({"names": (1, 2, 3)}, InvalidValueError, "str for each"),
        ({"cell": np.ones((3, 3))}, InvalidValueError, "no volume"),
        ({"cell": np.ones(3)}, ShapeError, "cell has shape"),
    ],
)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        Particles(**{"positions": POSITIONS, "charges": [1.0, 2.0, 3.0], **change})


def test_two_at_one_place_are_named():
    positions = np.vstack([POSITIONS, POSITIONS[1] + [0, 0.5 * SAME_PLACE, 0]])
    with pytest.raises(InvalidValueError, match=r"particles 1 and 3 .*\(1, 0, 0\) angstrom"):
        Particles(positions, np.ones(4))


def brute_force(positions, distance):
    gaps = np.linalg.norm(positions[:, None] - positions, axis=-1) + 10 * np.eye(len(positions))
    return gaps.min() < distance


@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=1, max_size=40), st.sampled_from([0.5, 1.01, 1.5]))
def test_agrees_with_all_pairs(points, distance):
    positions = np.array(points, dtype=float)
    pair = coincident_pair(positions, distance)
    assert (pair is not None) == brute_force(positions, distance)
    if pair is not None:
        assert pair[0] < pair[1]
        assert np.linalg.norm(positions[pair[0]] - positions[pair[1]]) < distance


@pytest.mark.parametrize("gap", [0.0, 0.9e-6, 1.1e-6])
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e5])
def test_threshold_in_any_direction(gap, offset):
    rng = np.random.default_rng(7)
    for _ in range(20):
        positions = rng.uniform(-50, 50, (200, 3)) + offset
        step = rng.normal(size=3)
        positions[150] = positions[40] + gap * step / np.linalg.norm(step)
        assert coincident_pair(positions) == (None if gap > SAME_PLACE else (40, 150))


def test_large_lattices_and_planes_are_fast():
    axis = np.arange(60.0)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    start = time.process_time()
    assert coincident_pair(lattice) is None
    assert coincident_pair(lattice * [1, 1, 0.0] + [0, 0, 5.0]) is not None
    assert coincident_pair(np.vstack([lattice, lattice[777]])) == (777, len(lattice))
    assert time.process_time() - start < 5
