"""The main job: its files, its report, and what it says to bad input."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest
from command_cases import SMALL, run
from systems import relative

from sci.datasets import dataset_path
from sci.io import load, load_grid, load_results, read_structure
from sci.potentials import Particles, direct_sum


def test_potential_writes_what_it_says(pqr, tmp_path, capsys):
    out = tmp_path / "small.h5"
    code = run("potential", pqr, "-o", out, "--tol", "1e-6", "--grid", 12, "--forces", "--export", "dx,cube", "--json")
    assert code == 0
    report = json.loads(capsys.readouterr().out)
    particles = read_structure(pqr)
    exact = 0.5 * (particles.charges * direct_sum(particles, particles.positions)).sum()
    assert report["energy_e2_per_angstrom"] == pytest.approx(exact, abs=1e-5)
    phi = load(out)
    points = particles.positions + 0.7
    assert relative(phi(points), direct_sum(particles, points)) < 1e-6
    grid = load_grid(out)
    axes = [o + s * np.arange(n) for o, s, n in zip(grid.origin, grid.spacing, grid.shape)]
    where = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    assert relative(grid.values.ravel(), direct_sum(particles, where)) < 1e-6
    assert (tmp_path / "small.dx").stat().st_size > 0
    assert (tmp_path / "small.cube").stat().st_size > 0


def test_bonded_pairs_are_left_out(tmp_path, capsys):
    path, bonds, out = tmp_path / "two.xyz", tmp_path / "bonds.txt", tmp_path / "two.h5"
    path.write_text("4\n\nO 0 0 0 -1\nH 0.96 0 0 1\nO 3 0 0 -1\nH 3.96 0 0 1\n")
    bonds.write_text("0 1\n2 3\n")
    r = np.array([[3.0, 3.96], [2.04, 3.0]])  # from the first molecule to the second
    expected = float((np.array([[1, -1], [-1, 1]]) / r).sum())
    for source in ("distance", bonds):
        assert run("potential", path, "-o", out, "--bonds", source, "--tol", "1e-6", "--json", "--overwrite") == 0
        report = json.loads(capsys.readouterr().out)
        assert report["pairs_left_out_or_scaled"] == 2
        assert report["energy_e2_per_angstrom"] == pytest.approx(expected, abs=1e-5)
        assert report["energy_error_e2_per_angstrom"] < 1e-5
        assert len(load(out).particles.exclusions.pairs) == 2
    assert run("potential", path, "-o", out, "--scale14", 0.5, "--overwrite") == 2
    assert "add --bonds" in capsys.readouterr().err


def test_screening_and_units_reach_the_file(pqr, tmp_path):
    out = tmp_path / "screened.h5"
    assert run("potential", pqr, "-o", out, "--kappa", 0.1, "--grid", 6, "--units", "kT/e", "--quiet") == 0
    assert load(out).kernel.kappa == 0.1
    assert load_grid(out).units == "kT/e"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("REMARK only\n", "no atoms"),
        (SMALL.replace("0.2500 1.9080", "x.2500 1.9080"), ":3"),
        (SMALL.replace("-0.2500 1.9080", "nan 1.9080"), ":3"),
        (SMALL.replace("ATOM      2", "ATMO      2"), ":3"),
        (SMALL.replace("1.500   0.000   0.250", "0.000   0.000   0.000"), "small.pqr"),
        (SMALL[:-30], ":4"),
    ],
)
def test_bad_structures_are_one_line_and_leave_no_file(tmp_path, capsys, text, message):
    path, out = tmp_path / "small.pqr", tmp_path / "out.h5"
    path.write_text(text)
    assert run("potential", path, "-o", out) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("sci: error:")
    assert len(said.splitlines()) == 1
    assert message in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.pqr"]


@pytest.mark.parametrize(
    "arguments", [["--tol", "0"], ["--tol", "x"], ["--grid", "0"], ["--export", "dx"], ["--kappa", "-1"]]
)
def test_bad_arguments_exit_with_2(pqr, tmp_path, arguments):
    assert run("potential", pqr, "-o", tmp_path / "out.h5", *arguments) == 2
    assert not (tmp_path / "out.h5").exists()


def test_missing_files_and_folders_exit_with_2(pqr, tmp_path):
    assert run("potential", tmp_path / "none.pqr", "-o", tmp_path / "out.h5") == 2
    assert run("potential", tmp_path, "-o", tmp_path / "out.h5") == 2
    assert run("potential", pqr, "-o", tmp_path / "nowhere" / "out.h5") == 2
    assert run("info", pqr) == 2


def test_the_picture(pqr, tmp_path):
    picture = tmp_path / "small.png"
    assert run("potential", pqr, "-o", tmp_path / "small.h5", "--plot", picture, "--quiet") == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run("potential", pqr, "-o", tmp_path / "small.h5", "--plot", tmp_path / "small.xyz") == 2


def test_a_file_of_ours_is_plain_hdf5(pqr, tmp_path):
    out = tmp_path / "small.h5"
    assert run("potential", pqr, "-o", out, "--grid", 5, 6, 7, "--quiet") == 0
    with h5py.File(out) as file:
        assert file["VTKHDF"].attrs["Type"] == b"ImageData"
        assert file["VTKHDF/PointData/potential"].shape == (7, 6, 5)
    assert isinstance(load(out).particles, Particles)


def test_a_periodic_file_is_shown_the_command_for_it(tmp_path, capsys):
    path = tmp_path / "salt.xyz"
    path.write_text(
        '2\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:charge:R:1\nNa 0 0 0 1\nCl 2.5 0 0 -1\n'
    )
    assert run("potential", path, "-o", tmp_path / "a.h5") == 2
    assert f"use `sci trajectory {path} -o OUT.h5`" in capsys.readouterr().err
    assert run("trajectory", path, "-o", tmp_path / "a.h5", "--quiet") == 0


def test_forces_that_were_asked_for_and_miss_the_tolerance_are_said(tmp_path, capsys):
    words = ("potential", dataset_path("ubiquitin"), "--tol", "1e-4", "--quiet", "-o")
    assert run(*words, tmp_path / "a.h5", "--forces") == 0
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"sci: warning: the measured error .* of the forces is above 0\.0001, .*--accuracy forces .*\n", said
    )
    assert run(*words, tmp_path / "b.h5") == 0
    assert run(*words, tmp_path / "c.h5", "--forces", "--accuracy", "forces") == 0
    assert capsys.readouterr().err == ""


def test_measured_errors_are_said_and_stored(pqr, tmp_path, capsys):
    out = tmp_path / "small.h5"
    assert run("potential", pqr, "-o", out, "--tol", "1e-5", "--accuracy", "forces", "--json") == 0
    said = json.loads(capsys.readouterr().out)["measured_error"]
    assert load(out).accuracy == "forces"
    assert load_results(out)["measured_error"]["forces"]["relative"] == said["forces"]["relative"]
    for quantity in ("potential", "field", "forces", "energy"):
        assert said[quantity]["relative"] <= 1e-5
        assert said[quantity]["worst"] > 0 or quantity == "energy"
