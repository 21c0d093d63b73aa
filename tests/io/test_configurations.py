"""Configurations in extended XYZ files: all digits and labels, files of other programs, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from samples import same

from sci.atomistic import Configuration, ionic_melt
from sci.errors import FileFormatError, InvalidValueError
from sci.io import read_configurations, write_configurations

LATTICE = 'Lattice="6 0 0 0 6 0 0 0 6"'
FRAME = f"""2
{LATTICE} Properties=species:S:1:pos:R:3:forces:R:3:tags:I:1 energy=-4.5 stress="1 0 0 0 2 0 0 0 3" pbc="T T T"
Na 0 0 0 0.5 0 0 1
Cl 2.4 0 0 -0.5 0 0 2
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.extxyz"
    path.write_text(text)
    return path


def test_what_was_written_is_read(tmp_path):
    ions = ionic_melt(2, 2, between=1, start=1)
    slab = Configuration(("Na",), [[0.1, 0.2, 1 / 3]], np.diag([3.0, 3.0, 0.0]), (True, True, False), energy=1e-17)
    bare = Configuration(("Cl", "Na"), [[0, 0, 0], [2, 0, 0]], forces=[[1e-9, 0, 0], [0, 0, 0]])
    everything = [*ions, slab, bare]
    write_configurations(tmp_path / "out.extxyz", everything)
    found = read_configurations(tmp_path / "out.extxyz")
    assert len(found) == 4
    assert all(map(same, found, everything))
    assert [c.energy for c in read_configurations(tmp_path / "out.extxyz", frames=slice(1, 3))] == [
        ions[1].energy,
        1e-17,
    ]
    assert same(read_configurations(tmp_path / "out.extxyz", frames=slice(-1, None))[0], bare)
    with pytest.raises(InvalidValueError, match="exists"):
        write_configurations(tmp_path / "out.extxyz", everything)
    write_configurations(tmp_path / "out.extxyz", [bare], overwrite=True)
    assert len(read_configurations(tmp_path / "out.extxyz")) == 1


def test_files_of_other_programs_are_read(tmp_path):
    (one,) = read_configurations(written(tmp_path, FRAME))
    np.testing.assert_array_equal(one.forces, [[0.5, 0, 0], [-0.5, 0, 0]])
    np.testing.assert_array_equal(one.stress, np.diag([1.0, 2, 3]))
    assert (one.species, one.energy, one.charges) == (("Na", "Cl"), -4.5, None)
    virial = FRAME.replace("stress=", "virial=").replace("energy=", "REF_energy=").replace(":forces:", ":dft_forces:")
    (two,) = read_configurations(written(tmp_path, virial), energy="REF_energy", forces="dft_forces")
    np.testing.assert_allclose(two.stress, -np.diag([1.0, 2, 3]) / 216)
    np.testing.assert_array_equal(two.forces, one.forces)
    assert (two.energy, read_configurations(written(tmp_path, virial))[0].energy) == (-4.5, None)
    (plain,) = read_configurations(written(tmp_path, "1\n\nHe 0 0 0\n"))
    assert (plain.cell, plain.energy, plain.forces) == (None, None, None)
    (open_cell,) = read_configurations(written(tmp_path, FRAME.replace('pbc="T T T"', 'pbc="F F F"')))
    assert (open_cell.cell, open_cell.stress) == (None, None)


def test_ase_reads_what_is_written_and_is_read(tmp_path):
    ase = pytest.importorskip("ase.io")
    ions = ionic_melt(2, 1, start=1)[0]
    write_configurations(tmp_path / "ours.extxyz", [ions])
    theirs = ase.read(tmp_path / "ours.extxyz")
    assert theirs.get_potential_energy() == pytest.approx(ions.energy, rel=1e-15)
    np.testing.assert_allclose(theirs.get_forces(), ions.forces, rtol=1e-14)
    np.testing.assert_allclose(theirs.get_stress(voigt=False), ions.stress, rtol=1e-12)
    ase.write(tmp_path / "theirs.extxyz", theirs)
    (again,) = read_configurations(tmp_path / "theirs.extxyz")
    np.testing.assert_allclose(again.forces, ions.forces, atol=1e-7)
    np.testing.assert_allclose(again.positions, ions.positions, atol=1e-7)
    np.testing.assert_allclose(again.stress, ions.stress, atol=1e-7)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("-0.5 0 0 2", "-0.5 0 nan 2", ":4: forces: nan"),
        ("-0.5 0 0 2", "-0.5 0 x 2", ":4: forces is 'x'"),
        ("-0.5 0 0 2", "-0.5 0 0", ":4: 7 columns; expected 8"),
        ("forces:R:3", "forces:R:2:f:R:1", ":2: Properties gives forces 2 columns; expected 3"),
        ("energy=-4.5", "energy=low", ":2: energy='low'"),
        ("energy=-4.5", "energy=inf", ":2: energy='inf'"),
        ('"1 0 0 0 2 0 0 0 3"', '"1 0 0"', ":2: stress='1 0 0'; expected nine"),
        ('"1 0 0 0 2 0 0 0 3"', '"1 1 0 0 2 0 0 0 3"', ":2: stress differs from its transpose by up to 1"),
        ('"T T T"', '"T T"', ":2: pbc='T T'"),
        ("6 0 0 0 6 0 0 0 6", "6 0 0 6 0 0 0 0 6", ":2: Lattice="),
        ("2\nLat", "3\nLat", "the frame ends after 2 of 3 atoms"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path, old, new, words):
    assert old in FRAME
    with pytest.raises(FileFormatError, match=words.replace("(", r"\(")):
        read_configurations(written(tmp_path, FRAME.replace(old, new)))


def test_other_refusals(tmp_path):
    with pytest.raises(FileFormatError, match="no frame"):
        read_configurations(written(tmp_path, FRAME), frames=slice(3, None))
    with pytest.raises(FileFormatError, match="the file is empty; expected frames"):
        read_configurations(written(tmp_path, ""))
    with pytest.raises(InvalidValueError, match="no configurations"):
        write_configurations(tmp_path / "x.extxyz", [])
    with pytest.raises(InvalidValueError, match="without blanks"):
        write_configurations(tmp_path / "x.extxyz", [Configuration(("a b",), [[0.0, 0, 0]])])
