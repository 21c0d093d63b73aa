"""Contents of files as a table and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from command_cases import run

from sci.io import save, save_samples
from sci.operators import FNO, TrainedOperator
from sci.potentials import Particles, Trajectory


def _info(path, *more):
    command = [sys.executable, "-m", "sci", "info", str(path), *more]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_info_prints_what_matters_once(pqr, tmp_path):
    out = tmp_path / "small.h5"
    assert run("potential", pqr, "-o", out, "--quiet", "--kappa", 0.1, "--tol", 1e-4, "--forces") == 0
    said = _info(out)
    lines = [line.split()[:2] for line in said.splitlines() if line]
    names = [line[0] for line in lines]
    for name, value in (("tol", "0.0001"), ("short_range/kappa", "0.1"), ("forces", "yes"), ("padding", "4")):
        assert [name, value] in lines
    for name in ("short_range/alpha", "short_range/cutoff", "measured_error/potential", "results/forces", "kernels"):
        assert names.count(name) == 1
    assert "energy_e2_per_angstrom" in names
    assert "results/energy_e2_per_angstrom" not in names
    assert f"sci potential {pqr}" in said
    found = json.loads(_info(out, "--json"))
    assert found["kind"] == "potential"
    assert found["arguments"]["tol"] == 1e-4
    assert found["results"]["measured_error"]["potential"]["relative"] < 1e-4


def test_results_have_the_digits_of_the_tolerance(pqr, tmp_path, capsys):
    energies = {}
    for tol in ("1e-3", "1e-9"):
        out = tmp_path / f"{tol}.h5"
        assert run("potential", pqr, "-o", out, "--tol", tol) == 0
        table = capsys.readouterr().out
        assert run("info", out) == 0
        said = capsys.readouterr().out
        energies[tol] = next(line.split()[1] for line in said.splitlines() if "energy_e2" in line)
        assert energies[tol] in table
    assert len(energies["1e-9"]) == len(energies["1e-3"]) + 6


def test_results_of_any_kind_are_listed(tmp_path, capsys):
    save(tmp_path / "a.h5", Particles([[0.0, 0.0, 0.0]], [1.0]), results={"note": "mine", "part": {"n": 2}})
    assert run("info", tmp_path / "a.h5") == 0
    said = capsys.readouterr().out
    assert "note" in said
    assert "part/n" in said


def test_many_arrays_of_a_model_are_one_line(tmp_path, capsys):
    save(tmp_path / "m.h5", TrainedOperator(FNO((4, 4), 1, 1, 8, 4)))
    assert run("info", tmp_path / "m.h5") == 0
    said = capsys.readouterr().out
    assert "arrays, " in said
    assert "hidden_channels" in said
    assert len(said.splitlines()) < 50


def test_samples_tell_their_axes(tmp_path, capsys):
    save_samples(tmp_path / "s.h5", *np.zeros((2, 3, 4, 4)), grid_axes=2, periodic=True)
    assert run("info", tmp_path / "s.h5") == 0
    assert "grid_axes  2" in capsys.readouterr().out


def test_a_structure_gets_advice(pqr, capsys):
    assert run("info", pqr) == 2
    assert f"`sci potential {pqr} -o OUT.h5`" in capsys.readouterr().err


def test_a_trajectory_without_a_plan(tmp_path, capsys):
    save(tmp_path / "a.h5", Trajectory(np.arange(2), np.zeros(2), np.zeros((2, 3, 3)), 2))
    assert run("info", tmp_path / "a.h5") == 0
    assert "trajectory" in capsys.readouterr().out
