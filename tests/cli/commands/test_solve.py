"""`sci solve`: problems in, solutions out, training, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from sci.cli import main
from sci.io import PoissonProblem, load, load_problem, load_results, read_header, save
from sci.solvers import DeepConjugateDirection, LearnedMultigrid, PoissonOperator

RNG = np.random.default_rng(6)
MASK = RNG.random((12, 10, 9)) > 0.1


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    problem = PoissonProblem(PoissonOperator(MASK), RNG.normal(size=MASK.shape) * MASK)
    save(tmp_path / "problem.h5", problem)
    return tmp_path / "problem.h5"


@pytest.mark.parametrize("method", ["learned", "untrained", "multigrid", "mic", "ic", "fast", "cg"])
def test_it_solves(problem, method, tmp_path, capsys):
    out = tmp_path / "solution.h5"
    assert main(["solve", "run", str(problem), "-o", str(out), "--method", method, "--rtol", "1e-9", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unknowns"] == MASK.sum()
    assert report["relative_residual"] <= 1e-9
    found, (A, b) = load(out), load_problem(problem)
    assert load_results(out)["method"] == method
    assert found.converged
    assert found.iterations == report["iterations"]
    assert report["condition"] == pytest.approx(found.condition)
    assert 1 <= found.condition < 100
    residual = b[MASK] - A.to_scipy() @ found.x[MASK]
    assert np.linalg.norm(residual) <= 1.01e-9 * np.linalg.norm(b)
    assert read_header(out).parent_uuid == read_header(problem).uuid


def test_a_solution_of_that_suffix_opens_in_paraview(tmp_path):
    A = PoissonOperator(MASK, (1.0, 0.5, 0.25))
    save(tmp_path / "problem.h5", PoissonProblem(A, MASK * 1.0))
    out = tmp_path / "solution.vtkhdf"
    assert main(["solve", "run", str(tmp_path / "problem.h5"), "-o", str(out), "--method", "fast", "--quiet"]) == 0
    with h5py.File(out) as file:
        assert file["VTKHDF"].attrs["Spacing"].tolist() == [1.0, 0.5, 0.25]
        np.testing.assert_array_equal(file["VTKHDF/CellData/x"][()].transpose(2, 1, 0), load(out).x)
        assert file["results/setup_seconds"].attrs["units"] == b"s"


def test_it_takes_plain_files_and_says_what_it_did(tmp_path, capsys):
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["mask"], file["b"] = MASK, MASK * 1.0
    assert main(["solve", "run", str(tmp_path / "plain.h5"), "-o", str(tmp_path / "x.h5")]) == 0
    assert "iterations" in capsys.readouterr().out
    assert read_header(tmp_path / "x.h5").parent_uuid == ""


def test_it_trains_a_model_that_it_can_use(problem, tmp_path, capsys):
    model = tmp_path / "model.h5"
    assert main(["solve", "train", "-o", str(model), "--sizes", "8", "--steps", "3", "--seed", "4", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["parameters"] == 279
    assert 0 < report["loss"] < 1
    A, b = load_problem(problem)
    assert LearnedMultigrid(A, load(model)).solve(b).converged
    assert main(["solve", "run", str(problem), "-o", str(tmp_path / "x.h5"), "--model", str(model)]) == 0


def test_it_takes_the_network_of_the_paper(problem, tmp_path, capsys):
    mask = np.ones((4, 4, 4), bool)
    save(tmp_path / "box.h5", PoissonProblem(PoissonOperator(mask), mask * 1.0))
    save(tmp_path / "network.h5", DeepConjugateDirection())
    words = ["solve", "run", f"{tmp_path}/box.h5", "-o", f"{tmp_path}/x.h5", "--method", "dcdm", "--rtol", "0.95"]
    assert main([*words, "--model", f"{tmp_path}/network.h5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["relative_residual"] <= 0.95
    assert main([*words, "--model", str(problem)]) == 2
    assert main([*words, "--method", "learned", "--model", f"{tmp_path}/network.h5"]) == 2


def test_train_is_an_action_with_its_own_arguments(capsys):
    for words, there in ((["run", "--help"], "PROBLEM.h5"), (["train", "--help"], "--sizes")):
        assert main(["solve", *words]) == 0
        out = capsys.readouterr().out
        assert there in out
        assert ("--method" in out) == (there == "PROBLEM.h5")
    assert main(["solve", "train", "-o", "m.h5", "--method", "cg"]) == 2
    assert "unrecognized arguments: --method" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["train", "-o", "{}/m.h5", "--sizes", "4"], 2, "sizes"),
        (["train", "-o", "{}/m.h5", "--seed", "-1"], 2, "--seed"),
        (["{}/missing.h5", "-o", "{}/x.h5"], 2, "no such file"),
        (["{}/problem.h5", "-o", "{}/problem.h5"], 2, "problem.h5"),
        (["{}/problem.h5", "-o", "{}/x.h5", "--method", "cg", "--model", "{}/m.h5"], 2, "--method learned or dcdm"),
        (["{}/problem.h5", "-o", "{}/x.h5", "--method", "dcdm"], 2, "--model"),
        (["{}/problem.h5", "-o", "{}/x.h5", "--method", "cg", "--maxiter", "2"], 1, "2 iterations"),
    ],
)
def test_what_it_refuses(problem, words, code, said, tmp_path, capsys):
    assert main(["solve", "run", *(w.format(tmp_path) for w in words)]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x.h5").exists()
