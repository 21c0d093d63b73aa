"""`sci spectrum`: eigenvalues of the problem in a file, plain and preconditioned, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sci.cli import main
from sci.io import PoissonProblem, load, read_header, save
from sci.solvers import PoissonOperator

RNG = np.random.default_rng(6)
MASK = RNG.random((9, 8, 7)) > 0.1
WORDS = ["--probes", "4", "--steps", "30"]


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    save(tmp_path / "problem.h5", PoissonProblem(PoissonOperator(MASK), RNG.normal(size=MASK.shape) * MASK))
    return tmp_path / "problem.h5"


@pytest.mark.parametrize("preconditioner", ["none", "jacobi", "multigrid", "learned", "untrained", "mic", "ic", "fast"])
def test_it_finds_the_spectrum(problem: Path, preconditioner: str, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "s.h5"
    words = ["spectrum", str(problem), "-o", str(out), "--preconditioner", preconditioner, *WORDS, "--json"]
    assert main(words) == 0
    report, found = json.loads(capsys.readouterr().out), load(out)
    assert report["eigenvalues"] == found.density.size == MASK.sum()
    assert report["condition"] == pytest.approx(found.condition)
    assert (report["preconditioner"], found.preconditioner) == (preconditioner, preconditioner)
    assert read_header(out).parent_uuid == read_header(problem).uuid
    if preconditioner == "none":
        values = np.linalg.eigvalsh(PoissonOperator(MASK).to_scipy().toarray())
        assert report["condition"] == pytest.approx(values[-1] / values[0], rel=1e-2)
        error = abs(report["log_determinant_value"] - np.log(values).sum())
        assert error < 6 * report["log_determinant_standard_error"]


def test_a_null_space_is_left_out_and_named(tmp_path: Path, capsys: Any) -> None:
    A = PoissonOperator(np.ones((7, 6), bool), 1.0, "neumann")
    save(tmp_path / "closed.h5", PoissonProblem(A, np.zeros((7, 6))))
    assert main(["spectrum", str(tmp_path / "closed.h5"), "-o", str(tmp_path / "s.h5"), *WORDS]) == 0
    out = capsys.readouterr().out
    assert "41, and 1 zeros, left out below" in out
    assert "log-pseudo-determinant" in out


def test_it_draws(problem: Path, tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "s.png"
    assert main(["spectrum", str(problem), "-o", str(tmp_path / "s.h5"), *WORDS, "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in capsys.readouterr().out


def test_a_dry_run_writes_nothing(problem: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["spectrum", str(problem), "-o", str(tmp_path / "s.h5"), "--dry-run", "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unknowns"] == MASK.sum()
    assert set(report["phases"]) == {"setup", "probes", "solve"}
    assert not (tmp_path / "s.h5").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{}/missing.h5", "-o", "{}/x.h5"], 2, "no such file"),
        (["{}/problem.h5", "-o", "{}/problem.h5"], 2, "problem.h5"),
        (["{}/problem.h5", "-o", "{}/x.h5", "--probes", "1"], 2, "from 2 to"),
        (["{}/problem.h5", "-o", "{}/x.h5", "--steps", "0"], 2, "--steps"),
        (["{}/problem.h5", "-o", "{}/x.h5", "--plot", "{}/x.xyz"], 2, "picture format"),
        (["{}/problem.h5", "-o", "{}/x.h5", "--device", "cuda"], 2, "leave --device out"),
        (["{}/zero.h5", "-o", "{}/x.h5"], 2, "all 1 eigenvalues are zero"),
    ],
)
def test_what_it_refuses(problem: Path, words: list[str], code: int, said: str, tmp_path: Path, capsys: Any) -> None:
    A = PoissonOperator(np.ones((1, 1), bool), 1.0, "neumann")
    save(tmp_path / "zero.h5", PoissonProblem(A, np.zeros((1, 1))))
    assert main(["spectrum", *(w.format(tmp_path) for w in words)]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x.h5").exists()
