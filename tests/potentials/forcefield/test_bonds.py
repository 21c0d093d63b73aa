"""Bonds by distance: against the covalent radii of ASE, across the faces of cells, and with ions."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.potentials import bonds_by_distance
from sci.potentials.forcefield.bonds import COVALENT_RADII

METHANOL = np.array(
    [[0.0, 0, 0], [1.42, 0, 0], [-0.36, 1.03, 0], [-0.36, -0.51, 0.89], [-0.36, -0.51, -0.89], [1.74, 0.91, 0]]
)
ELEMENTS = ["C", "O", "H", "H", "H", "H"]
BONDS = [[0, 1], [0, 2], [0, 3], [0, 4], [1, 5]]


def test_radii_are_those_of_the_table() -> None:
    data = pytest.importorskip("ase.data")
    assert len(COVALENT_RADII) == 96
    for symbol, radius in COVALENT_RADII.items():
        assert radius == pytest.approx(data.covalent_radii[data.atomic_numbers[symbol]]), symbol


def test_a_molecule_has_its_bonds_and_ions_have_none() -> None:
    assert bonds_by_distance(METHANOL, ELEMENTS).tolist() == BONDS
    positions = np.concatenate([METHANOL, [[3.4, -1.0, 0.0]]])
    assert bonds_by_distance(positions, [*ELEMENTS, "NA"]).tolist() == BONDS


@pytest.mark.parametrize("cell", [np.eye(3) * 9, np.array([[9.0, 0, 0], [4, 9, 0], [-7, 8, 9]])], ids=["cube", "skew"])
def test_bonds_across_the_faces_of_a_cell_are_found(cell: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        moved = METHANOL + 30 * rng.normal(size=3) + rng.integers(-2, 3, (6, 3)) @ cell
        assert bonds_by_distance(moved, ELEMENTS, cell=cell).tolist() == BONDS


def test_what_cannot_be_told_is_refused_with_the_atom() -> None:
    with pytest.raises(InvalidValueError, match="element of atom 2 is 'Xx'"):
        bonds_by_distance(METHANOL, ["C", "O", "Xx", "H", "H", "H"])
    with pytest.raises(ShapeError, match="2 elements and 6 atoms"):
        bonds_by_distance(METHANOL, ["C", "O"])
    with pytest.raises(InvalidValueError, match=r"atom 0 \(C\) may be 1.97 angstrom long, more than half the cell"):
        bonds_by_distance(METHANOL, ELEMENTS, cell=3.0 * np.eye(3))
    assert bonds_by_distance(METHANOL[:1], ["C"]).shape == (0, 2)
