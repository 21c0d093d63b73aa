"""XYZ and extended XYZ: charges, cells, frames, bad input, and ASE as an independent writer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.errors import FileFormatError
from sci.io import read_structure

PLAIN = "2\nwater, partly\nO 0.0 0.0 0.1 -0.834\nH 0.757 0.586 0.0 0.417\n"
EXTENDED = (
    '2\nLattice="5.0 0 0 0 6.0 0 0 0 7.0" Properties=species:S:1:pos:R:3:forces:R:3:initial_charges:R:1:radii:R:1 '
    'energy=-1.0 name="a = b" pbc="T T T"\nNa 0 0 0 9 9 9 1.0 1.2\nCl 2.5 0 0 9 9 9 -1.0 1.8\n'
)


def read(tmp_path, text, name="a.xyz", **keywords):
    (tmp_path / name).write_text(text)
    return read_structure(tmp_path / name, **keywords)


def test_fifth_column_is_the_charge(tmp_path):
    particles = read(tmp_path, PLAIN)
    assert particles.names == ("O", "H")
    assert particles.charges.tolist() == [-0.834, 0.417]
    assert particles.positions.tolist() == [[0, 0, 0.1], [0.757, 0.586, 0]]
    assert particles.radii is None
    assert particles.cell is None


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_extended(tmp_path, end):
    particles = read(tmp_path, "\ufeff" + EXTENDED.replace("\n", end), "a.extxyz")
    assert particles.charges.tolist() == [1, -1]
    assert particles.radii.tolist() == [1.2, 1.8]
    assert particles.positions[1].tolist() == [2.5, 0, 0]
    np.testing.assert_array_equal(particles.cell, np.diag([5.0, 6, 7]))
    assert read(tmp_path, EXTENDED.replace("T T T", "F F F")).cell is None
    assert read(tmp_path, EXTENDED.replace("initial_charges", "charge")).charges.tolist() == [1, -1]


@pytest.mark.parametrize("pbc", ["[F, F, F]", "{F F F}", '"0 0 0"', "F", "[0,0,0]", '"False false FALSE"', "[F F F]"])
@pytest.mark.parametrize("lattice", ['"5 0 0 0 6 0 0 0 7"', "[[5.0,0,0],[0, 6, 0],[0,0,7]]", "{5 0 0 0 6 0 0 0 7}"])
def test_forms_of_flags_and_lattices(tmp_path, pbc, lattice):
    text = EXTENDED.replace('"5.0 0 0 0 6.0 0 0 0 7.0"', lattice)
    assert read(tmp_path, text.replace('"T T T"', pbc)).cell is None
    for periodic in ("[T, T, T]", "{T T T}", '"1 1 1"', "T", '"true True TRUE"'):
        particles = read(tmp_path, text.replace('"T T T"', periodic))
        np.testing.assert_array_equal(particles.cell, np.diag([5.0, 6, 7]))
        assert particles.charges.tolist() == [1, -1]


def test_frames(tmp_path):
    text = PLAIN + "1\n\nLi 1 2 3 1.0\n\n"
    with pytest.raises(FileFormatError, match=r"a\.xyz:7: a second model begins here, of 2; choose one with model=1"):
        read(tmp_path, text)
    assert read(tmp_path, text, model=2).names == ("Li",)
    assert read(tmp_path, text, model=1).n == 2


BAD = {
    "no charges": ("1\n\nO 0 0 0\n", ":3: no charge: 4 columns, species x y z; give the charges"),
    "no charge property": ("1\nProperties=species:S:1:pos:R:3\nO 0 0 0\n", ":2: Properties names no charges; give the"),
    "no positions": ("1\nProperties=species:S:1:q:R:1\nO 0\n", ":2: Properties names no pos:R:3"),
    "bad properties": ("1\nProperties=species:S:one\nO 0 0 0\n", ":2: Properties=species:S:one is not name:type"),
    "columns": ("1\n\nO 0 0 0 1 2 3\n", ":3: 7 columns; expected 5"),
    "not a number": ("1\n\nO 0 x 0 1\n", ":3: y is 'x'; expected a number"),
    "nan": ("1\n\nO 0 0 0 nan\n", ":3: nan is not a finite number"),
    "count": ("many\n\nO 0 0 0 1\n", ":1: 'many' where a frame begins; expected the number of atoms"),
    "no atoms": ("0\n\n", ":1: '0' where a frame begins; expected the number of atoms, 1 or more"),
    "cut": ("3\n\nO 0 0 0 1\nO 0 0 1 1\n", ":4: the frame ends after 2 of 3 atoms"),
    "cut at once": ("3\n", ":2: the frame ends after 0 of 3 atoms"),
    "cut in a line": ("2\n\nO 0 0 0 1\nO 0 0 1", ":4: no charge"),
    "too many": ("1\n\nO 0 0 0 1\nO 0 0 1 1\n", ":4: 'O 0 0 1 1' where a frame begins"),
    "one place": ("2\n\nO 0 0 0 1\nH 0 0 1e-9 1\n", ":4: atom H is at the place of atom O in line 3"),
    "cell": (EXTENDED.replace("5.0 0 0", "5.0 0"), ":2: Lattice='5.0 0 0 6.0 .*expected nine finite numbers"),
    "flat cell": (EXTENDED.replace("7.0", "0.0"), ":2: Lattice=.*three independent periods"),
    "partly periodic": (EXTENDED.replace("T T T", "T T F"), ":2: pbc='T T F'; expected"),
    "unknown flag": (EXTENDED.replace("T T T", "T T maybe"), ":2: pbc='T T maybe'; expected"),
    "two flags": (EXTENDED.replace("T T T", "T T"), ":2: pbc='T T'; expected"),
    "flags and more": (EXTENDED.replace('"T T T"', "[T, T, F]"), r":2: pbc='\[T, T, F\]'; expected"),
    "pos of 0": ("1\nProperties=species:S:1:pos:R:0:q:R:1\nO 1\n", ":2: Properties gives pos 0 columns; expected 3"),
    "pos of 1": ("1\nProperties=species:S:1:pos:R:1:q:R:1\nO 1 1\n", ":2: Properties gives pos 1 columns; expected 3"),
    "pos of 2": ("1\nProperties=species:S:1:pos:R:2:q:R:1\nO 1 2 1\n", ":2: Properties gives pos 2 columns"),
    "charge of 2": ("1\nProperties=q:R:2:pos:R:3\n1 2 0 0 0\n", ":2: Properties gives q 2 columns; expected 1"),
    "charge of 0": ("1\nProperties=q:R:0:pos:R:3\n0 0 0\n", ":2: Properties gives q 0 columns; expected 1"),
    "radius of 3": ("1\nProperties=pos:R:3:q:R:1:radii:R:3\n0 0 0 1 1 1 1\n", ":2: Properties gives radii 3 columns"),
    "pos twice": ("1\nProperties=pos:R:3:q:R:1:pos:R:3\n0 0 0 1 1 1 1\n", ":2: Properties names pos twice"),
    "oblique matrix": (
        EXTENDED.replace('"5.0 0 0 0 6.0 0 0 0 7.0"', "[[5,1,0],[0,6,0],[0,0,7]]"),
        ":2: Lattice=.*periods as rows or as columns",
    ),
    "image": (
        EXTENDED.replace("Cl 2.5", "Cl 5.0"),
        ":4: atom Cl is at the place of a periodic image of atom Na",
    ),
    "image below": (
        EXTENDED.replace("Cl 2.5", "Cl 4.9999999999"),
        ":4: atom Cl is at the place of a periodic image of",
    ),
    "radius": (EXTENDED.replace("1.8", "-1.8"), ":4: the radius is -1.8"),
    "empty": ("", ": the file is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(tmp_path, case):
    text, message = BAD[case]
    with pytest.raises(FileFormatError, match=rf"a\.xyz{message}") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


rows = st.lists(
    st.tuples(st.sampled_from(["H", "Na", "Cl"]), *[st.floats(-1e4, 1e4, allow_subnormal=False)] * 4),
    min_size=1,
    max_size=5,
    unique_by=lambda row: round(row[1], 3),
)


@given(rows=rows, tabs=st.booleans())
def test_round_trip(tmp_path_factory, rows, tabs):
    lines = [("\t" if tabs else "  ").join([name, *map(repr, numbers)]) for name, *numbers in rows]
    path = tmp_path_factory.getbasetemp() / "round_trip.xyz"
    path.write_text("\n".join([str(len(rows)), "any text", *lines, ""]))
    particles = read_structure(path)
    np.testing.assert_array_equal(particles.positions, [row[1:4] for row in rows])
    np.testing.assert_array_equal(particles.charges, [row[4] for row in rows])


def test_files_of_ase(tmp_path):
    ase = pytest.importorskip("ase")
    from ase.io import write

    atoms = ase.Atoms("NaCl", [[0, 0, 0], [2.8, 0, 0.1]], charges=[1.0, -1.0], cell=[5.6, 5.7, 5.8], pbc=True)
    write(tmp_path / "a.xyz", atoms, format="extxyz", columns=["symbols", "positions", "initial_charges"])
    particles = read_structure(tmp_path / "a.xyz")
    assert particles.names == ("Na", "Cl")
    assert particles.charges.tolist() == [1, -1]
    np.testing.assert_allclose(particles.positions, atoms.positions)
    np.testing.assert_allclose(particles.cell, atoms.cell[:])
