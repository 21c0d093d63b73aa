"""Nearest images against a search of many, in cells of any shape."""

from __future__ import annotations

import numpy as np
import pytest
from forcefields import nearest
from hypothesis import given
from hypothesis import strategies as st
from periodic_cells import ORTHOGONAL

from sci.potentials.forcefield.images import (
    cell_images,
    images_by_shift,
    least_height,
    nearest_images,
    pairs_in_cell,
    reduced_cell,
    short_periods,
    wrapped,
    wrapped_fractions,
)

CELLS = {
    "cube": np.eye(3) * 4,
    "fcc": 3 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]),
    "skew": np.array([[5.0, 0, 0], [4.6, 3, 0], [-4, 7, 6]]),
    "flat": np.array([[9.0, 0.5, 0], [8.5, 2, 0.3], [17, 3, 5]]),
}


@pytest.mark.parametrize("name", CELLS)
def test_the_nearest_image_is_found(name: str) -> None:
    cell, rng = CELLS[name], np.random.default_rng(2)
    vectors = rng.normal(size=(40, 3)) * 12
    reduced = reduced_cell(cell)
    around = [nearest(nearest(v, reduced), cell) for v in vectors]
    np.testing.assert_allclose(
        np.linalg.norm(nearest_images(vectors, cell), axis=1), np.linalg.norm(around, axis=1), atol=1e-12
    )
    shifts = (nearest_images(vectors, cell) - vectors) @ np.linalg.inv(cell)
    np.testing.assert_allclose(shifts, np.rint(shifts), atol=1e-10)


@pytest.mark.parametrize("name", CELLS)
def test_reduced_periods_span_the_same_lattice(name: str) -> None:
    turns = reduced_cell(CELLS[name]) @ np.linalg.inv(CELLS[name])
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-10)
    assert abs(np.linalg.det(turns)) == pytest.approx(1)
    assert 2 * least_height(CELLS[name]) <= 2 * np.linalg.norm(reduced_cell(CELLS[name]), axis=1).min() + 1e-12


@given(st.lists(st.integers(-6, 6), min_size=9, max_size=9), st.integers(0, 2**31))
def test_reduced_periods_of_mixed_ones_cannot_be_shortened(entries, seed):
    basis = np.random.default_rng(seed).normal(size=(3, 3)) + 2 * np.eye(3)
    mix = np.triu(np.array(entries).reshape(3, 3), 1) + np.eye(3)
    if abs(np.linalg.det(basis)) < 0.1:
        return
    found = reduced_cell(mix @ basis)
    numbers = found @ np.linalg.inv(basis)
    np.testing.assert_allclose(numbers, np.round(numbers), atol=1e-8)
    assert abs(np.linalg.det(np.round(numbers))) == pytest.approx(1.0)
    lengths = np.linalg.norm(found, axis=1)
    assert (np.diff(lengths) >= -1e-12).all()
    for i in range(3):
        for other in np.delete(found, i, axis=0):
            assert min(np.linalg.norm(found[i] + s * other) for s in (1, -1)) >= lengths[i] * (1 - 1e-9)


@pytest.mark.parametrize("name", CELLS)
def test_pairs_within_a_reach_are_all_found(name: str) -> None:
    cell, rng = CELLS[name], np.random.default_rng(3)
    places = rng.random((30, 3)) @ cell * 3
    reach = 0.49 * least_height(cell)
    pairs, vectors = pairs_in_cell(places, cell, reach)
    expected = {
        (i, j)
        for i in range(30)
        for j in range(i + 1, 30)
        if np.linalg.norm(nearest_images((places[i] - places[j])[None], cell)) < reach
    }
    assert {tuple(pair) for pair in pairs.tolist()} == expected
    assert (np.linalg.norm(vectors, axis=1) < reach).all()


def test_pairs_do_not_depend_on_the_rows_of_the_lattice() -> None:
    cell, rng = CELLS["skew"], np.random.default_rng(5)
    places = rng.random((30, 3)) @ cell * 3
    skewed = np.array([[1, 0, 0], [40, 1, 0], [7, -30, 1]]) @ cell
    reach = 0.4 * least_height(cell)
    np.testing.assert_array_equal(pairs_in_cell(places, skewed, reach)[0], pairs_in_cell(places, cell, reach)[0])


def test_images_around_a_cell() -> None:
    fractions, places = wrapped(np.array([[-1.0, 12.0, 3.0]]), ORTHOGONAL)
    np.testing.assert_allclose(places, [[8.0, 1.0, 3.0]])
    np.testing.assert_array_equal(wrapped_fractions(places, ORTHOGONAL), fractions)
    positions, numbers = cell_images(fractions, ORTHOGONAL, np.array([1.0, 0.0, 0.0]))
    assert sorted(positions[:, 0].round(9)) == [-1.0, 8.0, 17.0]
    assert numbers.tolist() == [0] * 3
    parts = images_by_shift(fractions, np.array([0.5, np.inf, 0.1]), np.array([1, 0, 1]))
    assert [tuple(shift) for shift, some, _ in parts if len(some)] == [(-1, 0, 0), (0, 0, 0)]


@pytest.mark.parametrize("k", [0, 1, 40, 3000])
@pytest.mark.parametrize("slab", [False, True])
def test_short_periods_are_of_the_same_lattice(k, slab):
    base = np.array([[6.0, 0.2, 0.0], [-1.0, 7.0, 0.3], [0.5, 0.4, 5.0]])
    cell = base.copy()
    cell[1] += k * base[0]
    if not slab:
        cell[2] += k * base[1] - k * base[0]
    found = short_periods(cell, slab)
    steps = found @ np.linalg.inv(base)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert abs(np.linalg.det(found)) == pytest.approx(np.linalg.det(base), rel=1e-9)
    assert np.linalg.norm(found, axis=1).max() < 12
    if k == 0:
        assert found is cell
    if slab:
        np.testing.assert_array_equal(found[2], cell[2])
