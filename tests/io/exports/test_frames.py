"""Chosen frames as XYZ: copies of what the file holds, and other formats with all that is known."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import FileFormatError, InvalidValueError
from sci.io import copy_frames, read_frames, read_positions

EXTENDED = "".join(
    f'2\nLattice="9 0 0 0 9 0 0 0 {9 + k}" Properties=species:S:1:pos:R:3:q:R:1:note:S:1 step={k}\n'
    f"O 0 0 {k} -0.5 a\nH 1 0 {k} 0.5 b\n"
    for k in range(5)
)


def test_frames_of_xyz_are_copied_line_by_line(tmp_path):
    (tmp_path / "a.xyz").write_text(EXTENDED)
    copy_frames(tmp_path / "a.xyz", tmp_path / "b.xyz", np.array([1, 2, 4]))
    lines = EXTENDED.splitlines(keepends=True)
    assert (tmp_path / "b.xyz").read_text() == "".join(lines[4:12] + lines[16:])
    assert [p.positions[0, 2] for _, p in read_frames(tmp_path / "b.xyz")] == [1, 2, 4]
    with pytest.raises(InvalidValueError, match="exists"):
        copy_frames(tmp_path / "a.xyz", tmp_path / "b.xyz", [0])
    copy_frames(tmp_path / "a.xyz", tmp_path / "b.xyz", [0], overwrite=True)
    assert (tmp_path / "b.xyz").read_text() == "".join(lines[:4])


def test_models_become_extended_xyz(tmp_path):
    pqr = "".join(f"MODEL {k}\nATOM 1 NA NA 1 0.1 {k} 0.0 1.0 1.87\nENDMDL\n" for k in range(3))
    (tmp_path / "a.pqr").write_text(pqr)
    copy_frames(tmp_path / "a.pqr", tmp_path / "b.xyz", [0, 2])
    (_, first), (_, second) = read_frames(tmp_path / "b.xyz")
    assert (first.names, first.charges.tolist(), second.positions.tolist()) == (("NA",), [1.0], [[0.1, 2, 0]])


def test_a_cell_is_kept(tmp_path):
    pytest.importorskip("gemmi")
    atom = "ATOM      1   CA ALA A   1       0.250   0.500   0.750  1.00  0.00           C  \n"
    (tmp_path / "a.pdb").write_text(f"CRYST1   20.000   21.000   22.000  90.00  90.00  80.00 P 1\n{atom}END\n")
    copy_frames(tmp_path / "a.pdb", tmp_path / "b.xyz", [0])
    (_, one), (_, other) = next(read_positions(tmp_path / "a.pdb")), next(read_positions(tmp_path / "b.xyz"))
    assert one.names == other.names
    np.testing.assert_allclose(other.cell, one.cell, atol=1e-8)
    np.testing.assert_allclose(other.positions, one.positions, atol=1e-9)


@pytest.mark.parametrize("wanted", [[], [-1], [2, 2], [3, 1]])
def test_numbers_ascend(tmp_path, wanted):
    (tmp_path / "a.xyz").write_text(EXTENDED)
    with pytest.raises(InvalidValueError, match="expected ascending numbers"):
        copy_frames(tmp_path / "a.xyz", tmp_path / "b.xyz", wanted)


def test_a_frame_that_does_not_exist_leaves_no_file(tmp_path):
    (tmp_path / "a.xyz").write_text(EXTENDED)
    with pytest.raises(FileFormatError, match=r"a\.xyz: there is no frame 7, counted from 0; the file has 5"):
        copy_frames(tmp_path / "a.xyz", tmp_path / "b.xyz", [1, 7])
    assert not (tmp_path / "b.xyz").exists()
