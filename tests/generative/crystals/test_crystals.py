"""Sets of crystals, formulas and densities."""

from __future__ import annotations

import numpy as np
import pytest

from sci.atomistic import Configuration
from sci.errors import InvalidValueError, ShapeError
from sci.generative import Crystals, composition_of, crystal
from sci.generative.crystals.crystals import formula, fractions_of

CELL = 2.82 * np.eye(3)


def test_the_density_of_rock_salt_is_that_of_the_handbook() -> None:
    salt = crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], 2.82 * (1 - np.eye(3)))
    assert Crystals([salt]).densities[0] == pytest.approx(2.16, abs=0.01)


def test_a_crystal_gives_its_fractions_back() -> None:
    rng = np.random.default_rng(0)
    cell, fractions = rng.normal(size=(3, 3)), rng.uniform(size=(5, 3))
    cell *= np.sign(np.linalg.det(cell))
    found, rows = fractions_of(crystal([1, 2, 3, 4, 5], fractions, cell))
    np.testing.assert_allclose(found, fractions, atol=1e-13)
    np.testing.assert_array_equal(rows, cell)


def test_formulas_are_reduced_and_read() -> None:
    assert formula([20, 22, 8, 8, 8, 20, 22, 8, 8, 8]) == "CaO3Ti"
    assert composition_of("CaTiO3") == {"Ca": 1, "Ti": 1, "O": 3}
    assert composition_of("Ca3(PO4)2") == {"Ca": 3, "P": 2, "O": 8}
    for wrong in ("", "NaXx", "nacl", "Na-1", "(NaCl", "NaCl)", "Na0", "2NaCl", "()", "Na Cl"):
        with pytest.raises(InvalidValueError, match="formula"):
            composition_of(wrong)


def test_what_is_no_crystal_is_refused_by_its_number() -> None:
    good = crystal([11], [[0, 0, 0]], CELL)
    twice = Configuration(["Na", "Cl"], [[0, 0, 0], [2.82, 0, 0]], CELL)
    for wrong, words in (
        (Configuration(["Na"], [[0, 0, 0]]), "repeat along three axes"),
        (Configuration(["Xx"], [[0, 0, 0]], CELL), "no symbol of an element"),
        (twice, "atoms 0 and 1"),
        (Configuration(["Na"], [[0, 0, 0]], CELL, [True, True, False]), "repeat along three axes"),
    ):
        with pytest.raises(InvalidValueError, match=rf"crystal 1 \(counted from 0\): .*{words}"):
            Crystals([good, wrong])
    with pytest.raises(InvalidValueError, match="no crystals"):
        Crystals([])
    assert Crystals([good, good]).most_of_an_element == 1


@pytest.mark.parametrize("number", [0, -1, 119])
def test_numbers_of_no_element_make_no_crystal(number: int) -> None:
    """0 and -1 would be elements counted from the end of the table."""
    with pytest.raises(InvalidValueError, match=f"number {number}; expected that of an element"):
        crystal([number], [[0, 0, 0]], np.eye(3))
    with pytest.raises(ShapeError, match="cell"):
        crystal([11], [[0, 0, 0]], np.eye(2))
