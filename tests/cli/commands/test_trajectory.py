"""Energies and forces of a trajectory on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from trajectory_cases import write_xyz

from sci.cli import main
from sci.io import load


@pytest.fixture
def xyz(tmp_path: Path) -> Path:
    return write_xyz(tmp_path / "a.xyz")


def test_the_command(xyz, tmp_path, capsys):
    out, picture = tmp_path / "a.h5", tmp_path / "a.png"
    words = ["trajectory", str(xyz), "-o", str(out), "--frames", ":8:2"]
    assert main([*words, "--plot", str(picture)]) == 0
    assert "4 of 20 particles, 4 computed now" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main([*words, "--resume", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["computed"] == 0
    assert report["measured_error"]["forces"]["relative"] == 0.0  # summed over all pairs
    assert main(["info", str(out)]) == 0
    assert re.search(r"^ +finished +4$", capsys.readouterr().out, re.M)
    assert main([*words, "--resume", "--tol", "1e-3"]) == 2
    assert "tol 1e-06 then, 0.001 now" in capsys.readouterr().err
    for bad in (["--frames", "x"], ["--frames", "20:"], ["--tol", "0"], ["--topology", "none.psf"]):
        assert main(["trajectory", str(xyz), "-o", str(tmp_path / "b.h5"), *bad]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert not (tmp_path / "b.h5").exists()


@pytest.mark.filterwarnings("always::sci.errors.ToleranceWarning")
def test_measured_errors_of_periodic_and_isolated_frames(tmp_path, capsys):
    path, out = write_xyz(tmp_path / "p.xyz", cell='Lattice="20 0 0 0 20 0 0 0 20" '), tmp_path / "p.h5"
    assert main(["trajectory", str(path), "-o", str(out), "--frames", ":3", "--tol", "1e-5"]) == 0
    said = capsys.readouterr()
    assert re.search(r"^measured error +energy \d\.\de-\d\d relative \(frame \d ", said.out, re.M)
    assert said.err == ""
    assert 0 < load(out).measured_error("forces").relative < 1e-5
    words = ["trajectory", str(write_xyz(tmp_path / "a.xyz")), "--method", "format", "--tol", "1e-7", "--frames", ":2"]
    assert main([*words, "-o", str(tmp_path / "a.h5")]) == 0
    assert re.search(
        "of the forces is above .* 1e-07; it holds for the potential; .* 'forces'", capsys.readouterr().err
    )
    assert main([*words, "--accuracy", "forces", "-o", str(tmp_path / "b.h5")]) == 0
    assert capsys.readouterr().err == ""


def test_bonds_by_distance_leave_pairs_out(tmp_path, capsys):
    path, out = tmp_path / "w.xyz", tmp_path / "w.h5"
    path.write_text("5\n\nO 0 0 0 -0.8\nH 0.96 0 0 0.4\nH -0.24 0.93 0 0.4\nO 3 0 0 -0.8\nH 3.9 0.2 0 0.4\n")
    words = ["trajectory", str(path), "-o", str(out)]
    assert main([*words, "--bonds", "distance"]) == 0
    pairs = {(0, 3): 0.64, (0, 4): -0.32, (1, 3): -0.32, (1, 4): 0.16, (2, 3): -0.32, (2, 4): 0.16}
    places = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0], [3, 0, 0], [3.9, 0.2, 0]])
    expected = sum(q / np.linalg.norm(places[i] - places[j]) for (i, j), q in pairs.items())
    assert load(out).energies[0] == pytest.approx(expected, rel=1e-9)
    assert "4 pairs, 0 scaled" in capsys.readouterr().out
    assert main([*words, "--resume"]) == 2
    assert "the pairs that are left out have changed" in capsys.readouterr().err
    assert main([*words, "--resume", "--bonds", "distance", "--scale14", "0.5"]) == 0  # there are no 1-4 pairs
    for bad in (["--scale14", "0.5"], ["--bonds", "topology"], ["--bonds", "distance", "--scale14", "83"]):
        capsys.readouterr()
        assert main([*words, "--overwrite", *bad]) == 2
        assert "14" in capsys.readouterr().err or bad[1] == "topology"
