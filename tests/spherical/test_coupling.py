"""Gaunt and Clebsch-Gordan coefficients: Racah's formula, sums of squares, rules of selection, counts, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from spherical_cases import racah_clebsch_gordan

from sci.errors import InvalidValueError
from sci.spherical import clebsch_gordan, coupling_paths, gaunt_coefficients
from sci.spherical.coupling import coupled_entries, gaunt_matrix, selected_count

PATHS = [*coupling_paths(4, 4, 8), *coupling_paths(4, 4, 8, "odd"), (8, 7, 3), (8, 8, 8), (8, 8, 7), (2, 8, 9)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: "-".join(map(str, path)))
def test_racah(path):
    """Even sums have the sign of the Gaunt coefficients, odd ones that of a triple product."""
    expected, l1, l2, l3 = racah_clebsch_gordan(*path), *path
    if (l1 + l2 + l3) % 2:
        assert np.abs(expected.real).max() < 1e-14
        expected = expected.imag * (-1) ** ((l1 + l2 - l3 - 1) // 2)
    else:
        assert np.abs(expected.imag).max() < 1e-14
        expected = expected.real * (-1) ** ((l1 + l2 - l3) // 2)
    np.testing.assert_allclose(clebsch_gordan(*path), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("path", [p for p in PATHS if sum(p) % 2 == 0], ids=lambda path: "-".join(map(str, path)))
def test_a_gaunt_coefficient_is_a_constant_times_that_of_clebsch_and_gordan(path):
    l1, l2, l3 = path
    at_zero = abs(racah_clebsch_gordan(*path)[l1, l2, l3].real)
    factor = np.sqrt((2 * l1 + 1) * (2 * l2 + 1) / (4 * np.pi * (2 * l3 + 1))) * at_zero
    np.testing.assert_allclose(gaunt_coefficients(*path), factor * clebsch_gordan(*path), rtol=0, atol=1e-13)


def test_the_coupling_of_three_vectors_is_the_cross_product():
    expected = np.zeros((3, 3, 3))
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):  # y z x, z x y and x y z are even permutations of x y z
        expected[a, b, c], expected[b, a, c] = 1, -1
    np.testing.assert_allclose(clebsch_gordan(1, 1, 1), expected / np.sqrt(2), atol=1e-15)
    np.testing.assert_allclose(clebsch_gordan(1, 1, 0)[..., 0], np.eye(3) / np.sqrt(3), atol=1e-15)


def test_what_does_not_couple_is_zero():
    for path in ((1, 1, 3), (0, 2, 1), (5, 1, 3)):
        assert not gaunt_coefficients(*path).any()
        assert not clebsch_gordan(*path).any()
    assert not gaunt_coefficients(1, 1, 1).any()
    assert clebsch_gordan(1, 1, 1).any()


@pytest.mark.parametrize(("degree", "count"), [(2, 83), (3, 353), (4, 1158), (6, 6460), (8, 23621)])
def test_the_number_of_entries(degree, count):
    found = coupled_entries(degree, degree, degree, "gaunt")
    assert len(found.values) == count
    assert len(coupled_entries(degree, degree, degree, "even").values) == count
    by_rules = selected_count(degree, degree, degree)
    assert count <= by_rules < 1.02 * count, "few vanish for another reason"
    ordered = found.sorted_by(1)
    assert (np.diff(ordered.places[:, 1]) >= 0).all()
    assert sorted(map(tuple, ordered.places)) == sorted(map(tuple, found.places))


def test_paths():
    assert len(coupling_paths(4, 4, 8)) == 55
    assert len(coupling_paths(4, 4, 8, "odd")) == 30
    assert coupling_paths(0, 3, 1) == ((0, 0, 0), (0, 1, 1))
    assert coupling_paths(0, 3, 1, "odd") == ()
    assert len(coupled_entries(0, 3, 1, "odd").values) == 0


def test_results_are_the_callers_own():
    found = clebsch_gordan(1, 1, 1)
    found[:] = 0
    assert clebsch_gordan(1, 1, 1).any()


def test_refusals():
    for call in (
        lambda: gaunt_coefficients(-1, 1, 1),
        lambda: clebsch_gordan(1, 33, 1),
        lambda: coupling_paths(1, 1, -2),
    ):
        with pytest.raises(InvalidValueError, match="expected 0 to 32"):
            call()
    with pytest.raises(InvalidValueError, match="one of 'even', 'odd'"):
        coupling_paths(1, 1, 1, "both")


def test_the_matrix_of_pairs_holds_the_coefficients_of_each_path():
    matrix = gaunt_matrix(1, 2, 3).reshape(16, 4, 9)
    for l1, l2, l3 in itertools.product(range(2), range(3), range(4)):
        x, y, z = (slice(ell**2, (ell + 1) ** 2) for ell in (l1, l2, l3))
        np.testing.assert_array_equal(np.moveaxis(matrix[z, x, y], 0, 2), gaunt_coefficients(l1, l2, l3))
