"""`sci lattice`: the Madelung potential, defects, grid and picture, and bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sci.cli import main
from sci.datasets import dataset_path
from sci.io import load_grid, load_results, read_crystal
from sci.potentials import LatticePotential, Vacancy
from sci.units import COULOMB

pytest.importorskip("gemmi")

NACL = dataset_path("nacl")
MADELUNG = 1.7475645946331821906


def test_sites_of_a_large_crystal(capsys):
    assert main(["lattice", str(NACL), "--repeats", "200", "200", "200", "--weights", "evjen", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ions"] == 401**3
    assert len(report["sites"]) == 8
    assert 0 < report["measured_error"]["potential"]["relative"] < report["tol"] == 1e-8
    assert set(report["measured_error"]["potential"]["groups"]) == {"near", "between", "far", "faces", "particles"}
    for site in report["sites"]:
        assert site["potential"] == pytest.approx(-site["charge"] * MADELUNG * COULOMB / 2.82, rel=1e-8)


def test_vacancy_reaches_the_grid_and_the_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out, picture = tmp_path / "out.h5", tmp_path / "plane.png"
    arguments = ["--repeats", "6", "6", "6", "--vacancy", "0", "3", "3", "3", "--grid", "9", "--window", "1"]
    assert main(["lattice", str(NACL), *arguments, "-o", str(out), "--plot", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "1,728 ions" in said
    assert "measured error  potential " in said
    stored = load_results(out)["measured_error"]["potential"]
    assert 0 < stored["relative"] < 1e-8
    assert stored["groups"]["particles"]["worst"] > 0
    grid = load_grid(out).in_units("e/angstrom")
    assert grid.shape == (9, 9, 9)
    phi = LatticePotential(read_crystal(NACL), (6, 6, 6), tol=1e-10, defects=[Vacancy(0, (3, 3, 3))])
    middle = np.array([3 * 5.64] * 3)
    assert grid.values[4, 4, 4] == pytest.approx(phi(middle[None])[0], rel=1e-6)
    assert picture.read_bytes()[1:4] == b"PNG"


def test_charges_and_other_defects(capsys):
    arguments = [
        "--charges",
        "Na=2,Cl=-2",
        "--substitution",
        "4",
        "1",
        "1",
        "1",
        "-1",
        "--interstitial",
        "1",
        "1",
        "1",
        "1",
    ]
    assert main(["lattice", str(NACL), "--repeats", "3", "3", "3", *arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["defects"] == 2
    assert report["cell"] == [1, 1, 1]
    assert {site["charge"] for site in report["sites"]} == {2.0, -2.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "0", "1", "1"], "repeats"),
        (["--repeats", "2", "2", "2", "--vacancy", "9", "0", "0", "0"], "no particle 9"),
        (["--repeats", "2", "2", "2", "--charges", "Na=x"], "NAME=NUMBER"),
        (["--repeats", "2", "2", "2", "--substitution", "a", "0", "0", "0", "1"], "four integers"),
        (["--repeats", "2", "2", "2", "--grid", "0"], "from 1"),
        (["--repeats", "2", "2", "2", "--window", "1e9", "-o", "none.h5"], "--window 1e+09: the window ends"),
        (["--repeats", "2", "2", "2", "--window", "nan"], "a positive number"),
    ],
)
def test_bad_input_exits_with_two(arguments, message, capsys):
    assert main(["lattice", str(NACL), *arguments]) == 2
    assert message in capsys.readouterr().err
