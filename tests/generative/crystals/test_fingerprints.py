"""Fingerprints: the same for every cell of a crystal, others for other crystals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.generative import crystal, fingerprint, first_alike, ionic_crystals
from sci.generative.crystals.crystals import fractions_of

SALTS = ionic_crystals()


def test_another_cell_of_the_same_crystal_has_the_same_fingerprint() -> None:
    at = SALTS.formulas.index("ClNa")
    salt, numbers = SALTS.configurations[at], SALTS.numbers[at]
    places, cell = fractions_of(salt)
    primitive = crystal([11, 17], [[0.1, 0.2, 0.3], [0.6, 0.7, 0.8]], cell[0, 0] / 2 * (1 - np.eye(3)))
    skew = np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]])
    turned, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    other = crystal(numbers.tolist(), places @ np.linalg.inv(skew) + 0.3, skew @ cell @ turned)
    double = crystal(
        [*numbers.tolist(), *numbers.tolist()],
        np.concatenate([places / [2, 1, 1], (places + np.eye(3)[0]) / [2, 1, 1]]),
        np.diag([2.0, 1, 1]) @ cell,
    )
    own = fingerprint(salt)
    for one in (primitive, other, double):
        assert own.difference(fingerprint(one)) < 1e-9


def test_distances_are_those_of_rock_salt() -> None:
    at = SALTS.formulas.index("ClNa")
    found = fingerprint(SALTS.configurations[at], neighbors=12).distances
    contact = 1.02 + 1.81
    np.testing.assert_allclose(
        found[1], contact * np.sqrt([1.0] * 6 + [3] * 6)
    )  # six ions of Cl, then those at corners
    np.testing.assert_allclose(found[0], contact * np.sqrt([2.0] * 12))


def test_the_crystals_of_the_set_differ() -> None:
    found = [fingerprint(one) for one in SALTS.configurations[::4]]
    assert first_alike(found, found).tolist() == list(range(30))
    assert first_alike(found[:3], found[3:]).tolist() == [-1] * 3
    stretched = crystal(
        SALTS.numbers[0].tolist(),
        fractions_of(SALTS.configurations[0])[0],
        1.01 * fractions_of(SALTS.configurations[0])[1],
    )
    assert first_alike([fingerprint(stretched)], found, 0.1).tolist() == [0]
    assert first_alike([fingerprint(stretched)], found, 0.01).tolist() == [-1]


def test_the_same_composition_in_another_structure_is_another_crystal() -> None:
    at = SALTS.formulas.index("ClNa")
    contact = 1.02 + 1.81
    cesium = crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], 2 * contact / np.sqrt(3) * np.eye(3))
    assert fingerprint(cesium).difference(fingerprint(SALTS.configurations[at])) > 0.5


def test_what_has_no_fingerprint_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="neighbors is 0"):
        fingerprint(SALTS.configurations[0], neighbors=0)
    with pytest.raises(InvalidValueError, match="both at"):
        fingerprint(crystal([1, 1], [[0, 0, 0], [1, 0, 0]], np.eye(3)))
    with pytest.raises(InvalidValueError, match=r"long and thin|images of the cell"):
        fingerprint(crystal([1, 2], [[0, 0, 0], [0.5, 0, 0]], np.diag([3000.0, 0.6, 0.6])))
    with pytest.raises(InvalidValueError, match="tolerance"):
        first_alike([], [], 0.0)
