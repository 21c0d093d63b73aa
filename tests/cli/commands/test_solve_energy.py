"""`sci solve energy pb`: the potential of a molecule in salt, its report and its file, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import SMALL

from sci.applications import Electrolyte, poisson_boltzmann
from sci.cli import main
from sci.io import load, read_structure
from sci.units import energy_factor

WORDS = ["--cells", "20", "--padding", "6", "--ionic-strength", "0.5"]


@pytest.fixture
def molecule(tmp_path: Path) -> Path:
    (tmp_path / "small.pqr").write_text(SMALL)
    (tmp_path / "bare.xyz").write_text("1\n\nH 0 0 0\n")
    return tmp_path / "small.pqr"


def test_it_writes_the_potential_and_the_energy(molecule: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "pb.h5"
    more = ["--temperature", "310", "--dielectric", "4", "80", "--valences", "2", "-1", "--ion-radius", "1.5"]
    assert main(["solve", "energy", "pb", str(molecule), "-o", str(out), *WORDS, *more, "--json"]) == 0
    report, found = json.loads(capsys.readouterr().out), load(out)
    salt = Electrolyte(0.5, 310.0, (2, -1), 1.5)
    expected = poisson_boltzmann(read_structure(molecule), None, salt, cells=20, padding=6.0, inside=4.0, outside=80.0)
    assert report["energy_e2_per_angstrom"] == found.energy == pytest.approx(expected.energy, rel=1e-9)
    assert report["energy_error_e2_per_angstrom"] == pytest.approx(expected.energy_error, rel=1e-6)
    assert report["energy_kcal_per_mol"] == pytest.approx(energy_factor("kcal/mol") * found.energy)
    assert report["steps"] == found.minimum.iterations
    assert found.electrolyte == salt
    np.testing.assert_allclose(found.potential, expected.potential, atol=1e-9)


def test_paraview_gets_it_at_its_place(molecule: Path, tmp_path: Path) -> None:
    import h5py

    out = tmp_path / "pb.vtkhdf"
    assert main(["solve", "energy", "pb", str(molecule), "-o", str(out), *WORDS, "--quiet"]) == 0
    found = load(out)
    with h5py.File(out) as file:
        image = file["VTKHDF"]
        np.testing.assert_allclose(image.attrs["Origin"], found.origin - found.spacing / 2)
        np.testing.assert_allclose(image.attrs["Spacing"], found.spacing)
        np.testing.assert_array_equal(image["CellData/potential"][...], found.potential.T)


def test_a_dry_run_writes_nothing(molecule: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["solve", "energy", "pb", str(molecule), "-o", str(tmp_path / "x.h5"), "--spacing", "0.8", "--dry-run"]
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["charges"] == 3
    assert report["spacing"] == 0.8
    assert not (tmp_path / "x.h5").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{}/none.pqr", "-o", "{}/x.h5"], 2, "no such file"),
        (["{}/bare.xyz", "-o", "{}/x.h5"], 2, "charges"),
        (["{}/small.pqr", "-o", "{}/x.h5", "--spacing", "1", "--cells", "20"], 2, "one of the two"),
        (["{}/small.pqr", "-o", "{}/x.h5", "--spacing", "9", "--padding", "2"], 2, "padding of two cells"),
        (["{}/small.pqr", "-o", "{}/x.h5", "--ionic-strength", "0"], 2, "from 1e-9 to 100"),
        (["{}/small.pqr", "-o", "{}/x.h5", "--temperature", "-3"], 2, "from 100 to 10000"),
        (["{}/small.pqr", "-o", "{}/x.h5", "--valences", "1", "1"], 2, "a positive and a negative"),
        (["{}/small.pqr", "-o", "{}/x.h5", "--device", "cuda"], 2, "leave --device out"),
        (["{}/small.pqr", "-o", "{}/small.pqr"], 2, "small.pqr"),
    ],
)
def test_what_it_refuses(molecule: Path, tmp_path: Path, words: list[str], code: int, said: str, capsys: Any) -> None:
    assert molecule.exists()
    assert main(["solve", "energy", "pb", *(word.format(tmp_path) for word in words)]) == code
    assert said in capsys.readouterr().err


def test_an_energy_that_is_not_there_is_refused(capsys: Any) -> None:
    assert main(["solve", "energy", "gravity", "a.pqr", "-o", "x.h5"]) == 2
    assert "invalid choice: 'gravity'" in capsys.readouterr().err
