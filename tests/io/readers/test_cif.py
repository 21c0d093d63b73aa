"""Crystals from CIF: symmetry, charges, and files that are refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sci.datasets import dataset_path
from sci.errors import FileFormatError, InvalidValueError, SciError
from sci.io import read_crystal

pytest.importorskip("gemmi")

NACL = dataset_path("nacl")
TEXT = NACL.read_text()

RUTILE = """data_TiO2
_cell_length_a 4.594
_cell_length_b 4.594
_cell_length_c 2.959
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 42/m n m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_charge
Ti1 Ti4+ 0 0 0 2.2(1)
O1 O2- 0.305(2) 0.305 0 -1.1
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "crystal.cif"
    path.write_text(text)
    return path


def test_rock_salt_has_eight_ions():
    cell = read_crystal(NACL)
    np.testing.assert_array_equal(cell.cell, 5.64 * np.eye(3))
    parity = np.rint(cell.positions / 2.82).astype(int)
    np.testing.assert_allclose(parity * 2.82, cell.positions, atol=1e-12)
    assert sorted(map(tuple, parity.tolist())) == [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    np.testing.assert_array_equal(cell.charges, 1 - 2 * (parity.sum(axis=1) % 2))
    assert cell.names.count("Na1") == cell.names.count("Cl1") == 4


def test_charges_of_rutile_from_symbols_a_column_and_a_mapping(tmp_path):
    path = write(tmp_path, RUTILE)
    by_symbol, by_column = read_crystal(path), read_crystal(path, charges="_atom_site_charge")
    by_mapping = read_crystal(path, charges={"Ti": 1.0, "O1": -0.5})
    assert by_symbol.n == 6
    for cell, (titanium, oxygen) in ((by_symbol, (4, -2)), (by_column, (2.2, -1.1)), (by_mapping, (1, -0.5))):
        assert {(n, float(q)) for n, q in zip(cell.names, cell.charges)} == {("Ti1", titanium), ("O1", oxygen)}
    # The screw axis puts the second titanium into the middle of the cell.
    titanium = by_symbol.positions[[n == "Ti1" for n in by_symbol.names]]
    np.testing.assert_allclose(sorted(titanium.tolist()), [[0, 0, 0], [2.297, 2.297, 1.4795]], atol=1e-12)


def test_a_hexagonal_cell_keeps_its_angles(tmp_path):
    text = RUTILE.replace("_cell_angle_gamma 90", "_cell_angle_gamma 120").replace("'P 42/m n m'", "'P 3'")
    cell = read_crystal(write(tmp_path, text)).cell
    np.testing.assert_allclose(
        cell @ cell.T, [[21.104836, -10.552418, 0], [-10.552418, 21.104836, 0], [0, 0, 8.755681]]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no cif at all", "expected a CIF file"),
        ("data_empty\n", "0 blocks"),
        (TEXT + TEXT.replace("data_NaCl", "data_again"), "2 blocks"),
        (TEXT.replace("Cl1 Cl 0.5 0.5 0.5 1.0", "Cl1 Cl 0.5 0.5 0.5 0.5"), "occupied by 0.5"),
        (TEXT.replace("Cl -1", "Cl ?"), "no oxidation number of Cl1"),
        (TEXT.replace("Cl -1", "Cl minus"), "expected numbers"),
        (
            TEXT.replace("225", "225J"),
            r"crystal\.cif:12: _space_group_IT_number is '225J'; expected a number from 1 to",
        ),
        (TEXT.replace("225", "231"), "is '231'"),
        (TEXT.replace("Cl1 Cl 0.5", "Cl1 Cl ?"), r"crystal\.cif:28: _atom_site_fract_x is '\?'; expected a number"),
        (TEXT.replace("Na1 Na 0.0 0.0 0.0", "Na1 Na 0.0 0.0 ."), r"crystal\.cif:27: _atom_site_fract_z is '\.'"),
        ("# comments\n# alone\n", "0 blocks"),
        (TEXT.replace("'F m -3 m'", "?").replace("225", "?"), "space group"),
        (TEXT.replace("5.640", "?"), "no cell"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    with pytest.raises(FileFormatError, match=message):
        read_crystal(write(tmp_path, text))


def test_symmetry_operations_stand_for_a_space_group(tmp_path):
    operations = "loop_\n_space_group_symop_operation_xyz\nx,y,z\n-x,y+1/2,-z\n"
    text = RUTILE.replace("_space_group_name_H-M_alt 'P 42/m n m'\n", operations)
    cell = read_crystal(write(tmp_path, text))
    assert cell.n == 4
    np.testing.assert_allclose(cell.positions[1], [0, 2.297, 0], atol=1e-12)


def test_missing_files_and_charges_are_named(tmp_path):
    with pytest.raises(SciError):
        read_crystal(tmp_path / "missing.cif")
    with pytest.raises(InvalidValueError, match="nothing for Cl1"):
        read_crystal(NACL, charges={"Na": 1.0})
    with pytest.raises(InvalidValueError, match="no column"):
        read_crystal(NACL, charges="_atom_site_charge")


TWICE = """data_x
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_charge
X Na 0 0 0 1.0
X Na 0.5 0.5 0 0.75
Y Cl 0.5 0.5 0.5 -1.0
Y Cl 0 0 0.5 -0.75
"""


def test_labels_that_repeat(tmp_path):
    """Charges by row or by element are what the file says; by label nobody knows which site is meant."""
    path = write(tmp_path, TWICE)
    found = read_crystal(path, charges="_atom_site_charge")
    assert found.charges.tolist() == [1.0, 0.75, -1.0, -0.75]
    assert found.names == ("X", "X", "Y", "Y")
    np.testing.assert_allclose(found.positions[1], [2.82, 2.82, 0], atol=1e-12)
    assert read_crystal(path, charges={"Na": 1, "Cl": -1}).charges.tolist() == [1, 1, -1, -1]
    with pytest.raises(FileFormatError, match="sites 1 and 2 have one label, X; give charges by element, or the name"):
        read_crystal(path, charges={"X": 1.0, "Y": -1.0})
    named = write(tmp_path, TWICE.replace("X Na", "Na Na").replace("Y Cl", "Cl Cl"))
    assert read_crystal(named, charges={"Na": 1, "Cl": -1}).charges.tolist() == [1, 1, -1, -1]
    assert read_crystal(write(tmp_path, TEXT.replace("Cl1 Cl", "Na1 Cl"))).total_charge == 0


def test_charges_by_row_follow_the_symmetry(tmp_path):
    """Two rows of one label, each with images: 'P -1' puts one behind the other."""
    text = TWICE.replace("'P 1'", "'P -1'").replace("X Na 0 0 0", "X Na 0.1 0.2 0.3")
    found = read_crystal(write(tmp_path, text), charges="_atom_site_charge")
    by_place = {tuple(np.round(p / 5.64, 6)): q for p, q in zip(found.positions, found.charges)}
    assert by_place[0.1, 0.2, 0.3] == by_place[0.9, 0.8, 0.7] == 1.0
    assert by_place[0.5, 0.5, 0.0] == 0.75


def test_atoms_at_periodic_images_of_one_another_are_named(tmp_path):
    """0 and 1 are one coordinate of a periodic axis."""
    text = TWICE.replace("X Na 0 0 0", "X Na 0 0.25 0.25").replace("X Na 0.5 0.5 0", "X Na 1 0.25 0.25")
    assert text.count("0.25 0.25") == 2
    path = write(tmp_path, text)
    with pytest.raises(FileFormatError, match=r"crystal\.cif: sites \d \(X\) and \d \(X\) are at one place"):
        read_crystal(path, charges="_atom_site_charge")


@pytest.mark.parametrize("value", ["?", "nan", "inf"])
def test_a_charge_that_is_no_number_is_quoted(tmp_path, value):
    path = write(tmp_path, RUTILE.replace(" -1.1\n", f" {value}\n"))
    with pytest.raises(FileFormatError, match=rf"crystal\.cif: _atom_site_charge of O1 is '{re.escape(value)}'"):
        read_crystal(path, charges="_atom_site_charge")


def _by_number(number: int, edge: float = 5.64) -> str:
    cell = "".join(
        f"_cell_length_{axis} {edge}\n_cell_angle_{angle} 90\n"
        for axis, angle in (("a", "alpha"), ("b", "beta"), ("c", "gamma"))
    )
    sites = "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n"
    sites += "_atom_site_fract_z\nNa1 Na1+ 0 0 0\nCl1 Cl1- 0.5 0.5 0.5\n"
    return f"data_x\n{cell}_space_group_IT_number {number}\n{sites}"


def test_a_space_group_by_its_number_alone_has_its_only_setting(tmp_path):
    cell = read_crystal(write(tmp_path, _by_number(225)))
    expected = read_crystal(NACL)
    assert cell.n == 8
    np.testing.assert_allclose(sorted(map(tuple, cell.positions)), sorted(map(tuple, expected.positions)), atol=1e-9)
    for number in (14, 48, 166, 227):  # of several settings, in most of which the sites would be others
        with pytest.raises(FileFormatError, match=rf"number {number} alone, which has \d+ settings"):
            read_crystal(write(tmp_path, _by_number(number)))
    long = _by_number(225).replace("_cell_length_c 5.64", "_cell_length_c 7")
    with pytest.raises(FileFormatError, match="does not fit the lengths and angles of the cell"):
        read_crystal(write(tmp_path, long))


def test_no_space_group_at_all_says_what_to_add(tmp_path):
    nothing = _by_number(225).replace("_space_group_IT_number 225\n", "")
    with pytest.raises(
        FileFormatError, match=r"no space group is given, .*add a loop of _space_group_symop_operation_xyz"
    ):
        read_crystal(write(tmp_path, nothing))
    unknown = nothing.replace("loop_", "_space_group_name_H-M_alt 'F q r s'\nloop_", 1)
    with pytest.raises(FileFormatError, match="the space group 'F q r s' is unknown"):
        read_crystal(write(tmp_path, unknown))
