"""Neighbors in any cell, against all images written out."""

from __future__ import annotations

import numpy as np
import pytest

from sci.atomistic import neighbor_pairs
from sci.atomistic.neighbors import joined, neighborhood
from sci.errors import InvalidValueError, ShapeError

RNG = np.random.default_rng(3)
CELLS = {
    "cubic": 6.0 * np.eye(3),
    "triclinic": np.array([[5.0, 0, 0], [3.0, 4.0, 0], [-2.0, 1.5, 4.5]]),
    "tiny": np.array([[1.3, 0, 0], [0.6, 1.1, 0], [0.1, -0.3, 1.2]]),
    "left-handed": np.array([[0, 5.0, 0], [4.0, 0, 0], [0, 0.5, 3.0]]),
}


def all_images(positions, cell, periodic, cutoff, reach=6):
    """Return the set of (first, second, shift) by brute force."""
    steps = [range(-reach, reach + 1) if p else (0,) for p in periodic]
    found = set()
    for shift in np.array(np.meshgrid(*steps)).reshape(3, -1).T:
        distances = np.linalg.norm(positions + shift @ cell - positions[:, None], axis=-1)
        for i, j in zip(*np.nonzero(distances < cutoff)):
            if i != j or shift.any():
                found.add((int(i), int(j), *map(int, shift)))
    return found


@pytest.mark.parametrize("periodic", [(1, 1, 1), (1, 0, 1), (0, 0, 1), (0, 0, 0)])
@pytest.mark.parametrize("name", CELLS)
def test_pairs_are_those_of_all_images(name, periodic):
    cell = CELLS[name]
    positions = RNG.uniform(-0.9, 1.9, size=(5, 3)) @ cell
    first, second, shifts = neighbor_pairs(positions, 2.7, cell=cell, periodic=periodic)
    found = {(int(i), int(j), *map(int, s)) for i, j, s in zip(first, second, shifts)}
    assert found == all_images(positions, cell, periodic, 2.7)
    assert len(found) == len(first)
    assert (np.diff(first) >= 0).all()


def test_every_pair_is_there_in_both_orders():
    cell = CELLS["triclinic"]
    first, second, shifts = neighbor_pairs(RNG.normal(size=(9, 3)), 4.0, cell=cell)
    one = {(int(i), int(j), *map(int, s)) for i, j, s in zip(first, second, shifts)}
    assert one == {(j, i, -a, -b, -c) for i, j, a, b, c in one}


def test_rows_hold_the_pairs_and_nothing_else():
    positions = RNG.normal(size=(6, 3))
    first, second, _ = neighbor_pairs(positions, 1.5)
    vectors = positions[second] - positions[first]
    near = neighborhood(np.zeros(6, int), (first, second), vectors, 1.5)
    assert int(near.present.sum()) == len(first)
    np.testing.assert_array_equal(near.index[near.present], second)
    np.testing.assert_array_equal(near.vectors[near.present], vectors)
    assert (np.linalg.norm(near.vectors[~near.present], axis=-1) > 1.5).all()
    two = joined([near, near], 1.5)
    assert (two.configurations, len(two.species)) == (2, 12)
    np.testing.assert_array_equal(two.index[6:][near.present], second + 6)
    assert repr(near) == f"Neighborhood(6 atoms, at most {near.index.shape[1]} neighbors, {len(first)} pairs)"


def test_refusals():
    with pytest.raises(InvalidValueError, match="cutoff is 0"):
        neighbor_pairs(np.zeros((1, 3)), 0.0)
    with pytest.raises(InvalidValueError, match="without a cell"):
        neighbor_pairs(np.zeros((1, 3)), 1.0, periodic=(True, False, False))
    for axes in ((True,), (True,) * 4):
        with pytest.raises(ShapeError, match=f"periodic has {len(axes)} entries"):
            neighbor_pairs(np.zeros((1, 3)), 1.0, cell=np.eye(3), periodic=axes)
    for cell in (np.zeros((3, 3)), np.ones((3, 3))):
        with pytest.raises(InvalidValueError, match="span no volume"):
            neighbor_pairs(np.zeros((1, 3)), 1.0, cell=cell)
    for cell in (1e-3 * np.eye(3), np.array([[1.0, 0, 0], [2e4, 1, 0], [0, 0, 1]])):
        with pytest.raises(InvalidValueError, match=r"reaches over .* images of the cell.*angstrom"):
            neighbor_pairs(np.zeros((1, 3)), 5.0, cell=cell)
    with pytest.raises(InvalidValueError, match=r"atoms 0 and 2 .*both at \(1, 0, 0\)"):
        neighbor_pairs([[1.0, 0, 0], [0, 0, 0], [1.0, 0, 0]], 3.0)
