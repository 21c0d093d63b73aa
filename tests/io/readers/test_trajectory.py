"""Frames of trajectories: XYZ by our reader, binary formats through MDAnalysis."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from trajectory_cases import CHARGES, FRAMES, POSITIONS, N, write_xyz

from sci.errors import FileFormatError
from sci.io import compute_trajectory, count_frames, load, read_frames


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
    compute_trajectory(path, tmp_path / "out.h5", topology=pqr, tol=1e-4)
    assert len(load(tmp_path / "out.h5").frames) == FRAMES
    with pytest.raises(FileFormatError, match="names no charges; pass a topology"):
        count_frames(path)
    pqr.write_text("nothing\n")
    with pytest.raises(FileFormatError, match="MDAnalysis cannot read it"):
        count_frames(path, topology=pqr)
