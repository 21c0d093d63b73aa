"""Energies and forces of a trajectory on the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from trajectory_cases import write_xyz

from sci.cli import main


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
    assert '"computed": 0' in capsys.readouterr().out
    assert main(["info", str(out)]) == 0
    assert re.search(r"^ +finished +4$", capsys.readouterr().out, re.M)
    assert main([*words, "--resume", "--tol", "1e-3"]) == 2
    assert "begun with another tol" in capsys.readouterr().err
    for bad in (["--frames", "x"], ["--frames", "20:"], ["--tol", "0"], ["--topology", "none.psf"]):
        assert main(["trajectory", str(xyz), "-o", str(tmp_path / "b.h5"), *bad]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert not (tmp_path / "b.h5").exists()
