"""Frames of trajectories: XYZ by our reader, binary formats through MDAnalysis."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from trajectory_cases import CHARGES, FRAMES, POSITIONS, N, write_xyz

from sci.errors import FileFormatError
from sci.io import compute_trajectory, count_frames, load, read_frames, read_positions


@pytest.fixture
def xyz(tmp_path: Path) -> Path:
    return write_xyz(tmp_path / "a.xyz")


def test_frames_of_xyz(xyz):
    assert count_frames(xyz) == FRAMES
    found = dict(read_frames(xyz))
    assert list(found) == list(range(FRAMES))
    for k, particles in found.items():
        np.testing.assert_array_equal(particles.positions, POSITIONS[k])
        np.testing.assert_array_equal(particles.charges, CHARGES)
    assert [k for k, _ in read_frames(xyz, frames=[1, 4, 8])] == [1, 4, 8]
    with pytest.raises(FileFormatError, match="no frame 9, counted from 0; the file has 9"):
        list(read_frames(xyz, frames=[2, 9]))


def test_an_error_names_the_line_of_the_whole_file(xyz):
    lines = xyz.read_text().splitlines()
    lines[3 * (N + 2) + 5] = "X 1 2 z 0.5"
    xyz.write_text("\n".join(lines))
    with pytest.raises(FileFormatError, match=rf"a\.xyz:{3 * (N + 2) + 6}: z is 'z'"):
        list(read_frames(xyz))
    xyz.write_text("\n".join(lines[:-4]))
    with pytest.raises(FileFormatError, match=rf"the frame ends after {N - 4} of {N} atoms"):
        count_frames(xyz)


@pytest.mark.parametrize("suffix", ["dcd", "xtc", "trr"])
def test_binary_frames_with_a_topology(tmp_path, suffix):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mda = pytest.importorskip("MDAnalysis")
        universe = mda.Universe.empty(N, trajectory=True)
        with mda.Writer(str(tmp_path / f"a.{suffix}"), N) as writer:
            for k, frame in enumerate(POSITIONS):
                universe.atoms.positions = frame
                universe.dimensions = [30 + k, 31, 32, 90, 90, 80] if suffix == "xtc" else None
                writer.write(universe.atoms)
    pqr = tmp_path / "top.pqr"
    pqr.write_text(
        "".join(
            f"ATOM {i} C ALA 1 {x:.3f} {y:.3f} {z:.3f} {q:.3f} 1.5\n"
            for i, ((x, y, z), q) in enumerate(zip(POSITIONS[0], CHARGES), 1)
        )
    )
    path = tmp_path / f"a.{suffix}"
    assert count_frames(path, topology=pqr) == FRAMES
    for k, particles in read_frames(path, topology=pqr, frames=[0, 3, 8]):
        assert np.abs(particles.positions - POSITIONS[k]).max() < 0.006
        np.testing.assert_allclose(particles.charges, CHARGES, atol=1e-6)
        assert (particles.cell is not None) == (suffix == "xtc")
        if particles.cell is not None:
            assert np.linalg.norm(particles.cell, axis=1) == pytest.approx([30 + k, 31, 32], rel=1e-6)
    for k, frame in read_positions(path, topology=pqr, frames=[0, 3, 8]):
        assert np.abs(frame.positions - POSITIONS[k]).max() < 0.006
        assert (frame.names, frame.cell is not None) == (("C",) * N, suffix == "xtc")
        np.testing.assert_allclose(frame.charges, CHARGES, atol=1e-6)
    assert count_frames(path, topology=pqr, charges=False) == FRAMES
    compute_trajectory(path, tmp_path / "out.h5", topology=pqr, tol=1e-4)
    assert len(load(tmp_path / "out.h5").frames) == FRAMES
    with pytest.raises(FileFormatError, match="names no charges; pass a topology"):
        count_frames(path)
    pqr.write_text("nothing\n")
    with pytest.raises(FileFormatError, match="MDAnalysis cannot read it"):
        count_frames(path, topology=pqr)
    with pytest.raises(
        FileFormatError, match=rf"a\.{suffix}: a trajectory of this kind names no atoms; pass a topology"
    ):
        count_frames(path, charges=False)


BARE = "2\nstep 0\nO 0 0 0.5\nH 1 0 -2e-1\n\n2\nstep 1 energy=3\nO 0 1 0\nH 1 1 0\n"


def test_positions_of_xyz_without_charges(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(BARE)
    assert count_frames(path, charges=False) == 2
    (_, first), (_, second) = read_positions(path)
    assert (first.names, first.cell, first.charges) == (("O", "H"), None, None)
    assert first.positions.tolist() == [[0, 0, 0.5], [1, 0, -0.2]]
    assert second.positions.tolist() == [[0, 1, 0], [1, 1, 0]]
    with pytest.raises(FileFormatError, match="no charge"):
        list(read_frames(path))
    path.write_text('1\nLattice="9 0 0 0 9 0 0 0 9" Properties=id:I:1:species:S:1:vel:R:3:pos:R:3\n7 He 9 9 9 1 2 3\n')
    (_, frame), *_ = read_positions(path)
    assert (frame.names, frame.positions.tolist()) == (("He",), [[1, 2, 3]])
    np.testing.assert_array_equal(frame.cell, 9 * np.eye(3))


def test_positions_of_files_with_charges_are_those_of_the_particles(xyz, tmp_path):
    for (k, particles), (j, frame) in zip(read_frames(xyz), read_positions(xyz), strict=True):
        assert (k, particles.names) == (j, frame.names)
        np.testing.assert_array_equal(particles.positions, frame.positions)
    pqr = tmp_path / "a.pqr"
    row = "ATOM 1 NA NA 1 0.0 {} 0.0 1.0 1.87\n"
    pqr.write_text(f"MODEL 1\n{row.format(0)}ENDMDL\nMODEL 2\n{row.format(2.5)}ENDMDL\n")
    assert [(f.positions[0, 1], f.charges[0]) for _, f in read_positions(pqr)] == [(0, 1), (2.5, 1)]
    pqr.write_text("REMARK nothing\n")
    with pytest.raises(FileFormatError, match="no atoms"):
        list(read_positions(pqr))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("H 1 0 -2e-1", "H 1 0", r":4: 3 columns; expected four: species x y z"),
        ("H 1 0 -2e-1", "H 1 0 nan", r":4: nan is not a finite number"),
        ("H 1 0 -2e-1", "H 1 0 1_0", r":4: z is '1_0'; expected a number"),
        ("H 1 1 0", "H 1 1 z", r":9: z is 'z'; expected a number"),
        ("H 1 1 0", "", r":8: the frame ends after 1 of 2 atoms"),
        ("\n2\nstep 1", "\n3x\nstep 1", r":6: '3x' where a frame begins"),
        ("step 1", "Properties=species:S:1", r":7: Properties names no pos:R:3"),
    ],
)
def test_bad_positions_name_the_line(tmp_path, old, new, says):
    (tmp_path / "a.xyz").write_text(BARE.replace(old, new))
    with pytest.raises(FileFormatError, match=rf"a\.xyz{says}"):
        list(read_positions(tmp_path / "a.xyz"))
