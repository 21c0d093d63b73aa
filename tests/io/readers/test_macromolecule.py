"""Models of PDB and mmCIF files as frames, without charges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io import count_frames, read_positions

gemmi = pytest.importorskip("gemmi")

ATOM = "ATOM  {:5d} {:>4s}{}ALA A   1    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00           C  \n"


def pdb(path: Path, shifts: list[float], cryst: str = "", alternative: bool = False) -> Path:
    text = cryst
    for number, shift in enumerate(shifts, 1):
        text += f"MODEL     {number:4d}\n" + ATOM.format(1, "CA", " ", 0.0, shift, 0.0)
        text += ATOM.format(2, "CB", "A" if alternative else " ", 1.5, shift, -0.25)
        text += ATOM.format(3, "CB", "B", 1.7, shift, -0.5) if alternative else ""
        text += "ENDMDL\n"
    path.write_text(text + "END\n")
    return path


@pytest.mark.parametrize("alternative", [False, True])
def test_models_are_frames(tmp_path, alternative):
    path = pdb(tmp_path / "a.pdb", [0.0, 1.0, 2.5], alternative=alternative)
    assert count_frames(path, charges=False) == 3
    found = dict(read_positions(path))
    assert [f.names for f in found.values()] == [("CA", "CB")] * 3
    np.testing.assert_allclose([f.positions[1] for f in found.values()], [[1.5, y, -0.25] for y in (0, 1, 2.5)])
    assert [f.cell for f in found.values()] == [None] * 3
    assert [n for n, _ in read_positions(path, frames=[0, 2])] == [0, 2]
    with pytest.raises(FileFormatError, match=r"a\.pdb: there is no frame 3, counted from 0; the file has 3"):
        list(read_positions(path, frames=[3]))


@pytest.mark.parametrize(("group", "periodic"), [("P 1", True), ("P 21 21 21", False)])
def test_the_cell_of_molecular_dynamics_is_read_and_that_of_a_crystal_is_not(tmp_path, group, periodic):
    cryst = f"CRYST1   20.000   21.000   22.000  90.00  90.00  80.00 {group:<11}   1\n"
    (_, frame), *_ = read_positions(pdb(tmp_path / "a.pdb", [0.0, 1.0], cryst))
    assert (frame.cell is not None) == periodic
    if periodic:
        np.testing.assert_allclose(np.linalg.norm(frame.cell, axis=1), [20, 21, 22], rtol=1e-12)
    dummy = "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n"
    assert next(read_positions(pdb(tmp_path / "b.pdb", [0.0], dummy)))[1].cell is None


def test_mmcif_gives_the_same(tmp_path):
    structure = gemmi.read_pdb(str(pdb(tmp_path / "a.pdb", [0.0, 1.0])))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "a.cif"))
    for (_, one), (_, other) in zip(read_positions(tmp_path / "a.pdb"), read_positions(tmp_path / "a.cif")):
        assert one.names == other.names
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-9)


def test_bad_coordinates_name_the_line(tmp_path):
    path = pdb(tmp_path / "a.pdb", [0.0])
    path.write_text(path.read_text().replace("  -0.250", "   -0.2x"))
    with pytest.raises(FileFormatError, match=r"a\.pdb:3: z is '-0\.2x'"):
        list(read_positions(path))
    path.write_text("REMARK nothing\n")
    with pytest.raises(FileFormatError, match="no atoms"):
        list(read_positions(path))
