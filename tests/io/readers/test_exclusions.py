"""Exclusions of trajectories: bonds of a topology, or of distances in the first frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from forcefields import PSF

from sci.errors import FileFormatError, InvalidValueError
from sci.io import read_exclusions, read_structure, structure_exclusions
from sci.potentials import Particles

WATERS = """6
{}
O 0 0 0 -0.8
H 0.96 0 0 0.4
H -0.24 0.93 0 0.4
O {} 0.2 0.1 -0.8
H {} 0.2 0.1 0.4
H 4.0 1.13 0.1 0.4
"""


def test_distances_of_the_first_frame_tell_the_bonds(tmp_path: Path) -> None:
    path = tmp_path / "waters.xyz"
    path.write_text(WATERS.format("", 4.24, 5.2))
    found = read_exclusions(path, bonds="distance")
    assert found.pairs.tolist() == [[0, 1], [0, 2], [1, 2], [3, 4], [3, 5], [4, 5]]
    cell = tmp_path / "cell.extxyz"
    properties = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:charge:R:1'
    cell.write_text(WATERS.format(properties, 4.24, 5.2 - 9.0))
    assert read_exclusions(cell, bonds="distance").pairs.tolist() == found.pairs.tolist()


def test_what_tells_no_bonds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "waters.xyz"
    path.write_text(WATERS.format("", 4.24, 5.2).replace("H -0.24", "XX -0.24"))
    with pytest.raises(FileFormatError, match="element of atom 2 is 'XX'"):
        read_exclusions(path, bonds="distance")
    with pytest.raises(InvalidValueError, match="no topology is given"):
        read_exclusions(path)
    with pytest.raises(InvalidValueError, match="expected 'topology'"):
        read_exclusions(path, bonds="guess")  # type: ignore[arg-type]


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_a_topology_names_the_bonds(tmp_path: Path) -> None:
    mda = pytest.importorskip("MDAnalysis")
    (tmp_path / "water.psf").write_text(PSF)
    universe = mda.Universe.empty(3, trajectory=True)
    universe.atoms.positions = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    universe.atoms.write(str(tmp_path / "water.dcd"), frames="all")
    given = {"topology": tmp_path / "water.psf"}
    for bonds in ("topology", "distance"):
        found = read_exclusions(tmp_path / "water.dcd", bonds=bonds, **given)
        assert found.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]


def test_bonds_of_a_structure_by_distance_and_from_a_list(tmp_path: Path) -> None:
    path, bonds = tmp_path / "waters.xyz", tmp_path / "bonds.txt"
    path.write_text(WATERS.format("", 4.24, 5.2))
    waters = read_structure(path)
    found = structure_exclusions(path, waters)
    assert found.pairs.tolist() == [[0, 1], [0, 2], [1, 2], [3, 4], [3, 5], [4, 5]]
    bonds.write_text("# of two waters\n0 1\n2 0\n\n3 4 # the second\n3 5\n")
    assert structure_exclusions(path, waters, bonds=bonds).pairs.tolist() == found.pairs.tolist()
    for text, message in (
        ("0 1\n0 6\n", r"bonds.txt:2: '0 6'; expected two of the atoms 0 to 5"),
        ("0 1 2\n", ":1:"),
        ("0 a\n", ":1:"),
        ("1 1\n", ":1:"),
        ("1 01\n", ":1:"),
        ("# none\n", "names no bonds"),
    ):
        bonds.write_text(text)
        with pytest.raises(FileFormatError, match=message):
            structure_exclusions(path, waters, bonds=bonds)
    with pytest.raises(FileFormatError, match="no such file; expected 'distance'"):
        structure_exclusions(path, waters, bonds="distances")
    with pytest.raises(InvalidValueError, match="no names"):
        structure_exclusions(path, Particles(waters.positions, waters.charges))


def test_names_of_atoms_in_pqr_tell_their_elements(tmp_path: Path) -> None:
    path = tmp_path / "part.pqr"
    atoms = (
        ("CA", 0.0),
        ("1HB2", 1.09),
        ("OG1", 3.9),
        ("CL", 9.0),
        ("NA", 30.0),
        ("FE", 40.0),
        ("CD1", 1.5 + 9.0 + 0.3),
    )
    path.write_text("".join(f"ATOM {k} {name} X 1 {x} 0.0 0.0 0.1 1.0\n" for k, (name, x) in enumerate(atoms)))
    assert structure_exclusions(path, read_structure(path)).pairs.tolist() == [[0, 1], [3, 6]]
    path.write_text("ATOM 0 CA X 1 0 0 0 0.1 1.0\nATOM 1 XQ X 1 3 0 0 0.1 1.0\n")
    with pytest.raises(InvalidValueError, match="element of atom 1 is 'XQ'"):
        structure_exclusions(path, read_structure(path))
