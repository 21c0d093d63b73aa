"""`sci scaling`: fit a law to a table, ask it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sci.cli import main
from sci.cli.estimates.limits import resident
from sci.io import load, save_samples

X = np.geomspace(1e3, 1e6, 9)
LOSS = (0.2 + 30 * X**-0.5) * (1 + 0.01 * np.random.default_rng(0).standard_normal(9))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lines = [f"{x},{k},{loss}" for k, (x, loss) in enumerate(zip(X, LOSS))]
    (tmp_path / "runs.csv").write_text("\n".join(["parameters,run,loss", *lines]))
    size, samples = np.repeat(X[::2], 5), np.tile(X[::2], 5)
    joint = 0.2 + 30 * size**-0.5 + 10 * samples**-0.4
    rows = [f"{a},{b},{c}" for a, b, c in zip(size, samples, joint)]
    (tmp_path / "joint.csv").write_text("\n".join(["size,samples,loss", *rows]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _json(capsys: Any, *words: str) -> Any:
    assert main(["scaling", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_law_is_fitted_and_asked(folder: Path, capsys: Any) -> None:
    report = _json(capsys, "fit", "runs.csv", "-o", "law.h5", "--x", "parameters")
    low, high = report["exponent_intervals"][0]
    assert low < 0.5 < high
    assert load(folder / "law.h5").law.limit == report["limit"]
    told = _json(capsys, "predict", "law.h5", "--at", "1e7", "1e8")["predictions"]
    assert [p["beyond"] for p in told] == pytest.approx([10, 100])
    low, high = told[0]["interval"]
    assert low < 0.2 + 30 * 1e7**-0.5 < high
    back = _json(capsys, "predict", "law.h5", "--to", str(told[0]["loss"]))
    assert back["x"] == pytest.approx(1e7, rel=1e-6)
    assert main(["scaling", "predict", "law.h5", "--at", "1e7"]) == 0
    assert "90% of runs from" in capsys.readouterr().out


def test_a_law_of_two_terms_finds_the_best_size(folder: Path, capsys: Any) -> None:
    report = _json(capsys, "fit", "joint.csv", "-o", "law.h5")
    assert report["exponents"] == pytest.approx([0.5, 0.4], rel=1e-6)
    best = _json(capsys, "predict", "law.h5", "--operations", "1e12")
    assert 6 * best["size"] * best["samples"] == pytest.approx(1e12)
    grid = np.geomspace(1e3, 1e8, 100_001)
    losses = 0.2 + 30 * grid**-0.5 + 10 * (1e12 / 6 / grid) ** -0.4
    assert best["loss"] == pytest.approx(losses.min(), rel=1e-6)


def test_it_draws(folder: Path, capsys: Any) -> None:
    pytest.importorskip("matplotlib")
    assert main(["scaling", "fit", "runs.csv", "-o", "law.h5", "--x", "parameters", "--plot", "law.png"]) == 0
    assert (folder / "law.png").read_bytes().startswith(b"\x89PNG")
    assert "exponent of parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["fit", "missing.csv", "-o", "x.h5"], 2, "no such file"),
        (["fit", "runs.csv", "-o", "x.h5", "--x", "width"], 2, "no column width"),
        (["fit", "runs.csv", "-o", "x.h5", "--x", "loss"], 2, "--x"),
        (["fit", "runs.csv", "-o", "x.h5", "--x", "parameters", "--run", "loss"], 2, "fractions"),
        (["fit", "joint.csv", "-o", "x.h5", "--plot", "x.png"], 2, "a law of one"),
        (["fit", "rising.csv", "-o", "x.h5"], 1, "do not fall"),
        (["predict", "runs.csv", "--at", "1"], 2, "runs.csv"),
        (["predict", "law.h5", "--to", "0.01"], 2, "limit of the law"),
        (["predict", "law.h5", "--operations", "1e9"], 2, "two terms"),
        (["predict", "law.h5"], 2, "--at"),
    ],
)
def test_what_is_refused(folder: Path, capsys: Any, words: list[str], code: int, said: str) -> None:
    pytest.importorskip("matplotlib")
    (folder / "rising.csv").write_text("x,loss\n" + "".join(f"{x},{x}\n" for x in range(1, 9)))
    assert main(["scaling", "fit", "runs.csv", "-o", "law.h5", "--x", "parameters", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["scaling", *words]) == code
    assert said in capsys.readouterr().err
    assert not (folder / "x.h5").exists()


PLAN = ("plan", "--budget-flops", "1e11", "--grid", "16", "16", "--modes", "8", "--samples", "20")


def test_a_plan_fits_and_can_be_trained(folder: Path, capsys: Any) -> None:
    report = _json(capsys, *PLAN, "--memory", "120MB", "--epochs", "4")
    plans, best = report["plans"], report["best"]
    assert best in plans
    assert [p["width"] for p in plans] == sorted(p["width"] for p in plans)
    assert all(p["memory_bytes"] <= 120e6 and 2 * p["step_multiply_adds"] * p["steps"] <= 1e11 for p in plans)
    assert best["samples"] >= 80
    assert best["seconds"] == pytest.approx(
        best["steps"] * best["step_multiply_adds"] / report["multiply_adds_per_second"]
    )
    assert main(["scaling", *PLAN, "--memory", "120MB", "--model", "tfno"]) == 0
    words = capsys.readouterr().out.splitlines()[-1].split()
    fields = np.random.default_rng(0).normal(size=(2, 20, 16, 16)).astype(np.float32)
    save_samples(folder / "SAMPLES.h5", *fields, grid_axes=2, periodic=True)
    words = words[words.index("operator") :]
    words[words.index("--epochs") + 1] = "1"
    assert main(words) == 0


def test_a_plan_tells_the_memory_of_a_dry_run(folder: Path, capsys: Any) -> None:
    report = _json(capsys, *PLAN, "--memory", "120MB", "--layers", "2")
    plan = next(p for p in report["plans"] if p["width"] == 16)
    fields = np.random.default_rng(0).normal(size=(2, 20, 16, 16)).astype(np.float32)
    save_samples(folder / "s.h5", *fields, grid_axes=2, periodic=True)
    words = ["--modes", "8", "--hidden", "16", "--layers", "2", "--dry-run", "--json"]
    assert main(["operator", "train", "s.h5", "-o", "m.h5", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"] == plan["parameters"]
    assert 0 < told["memory_bytes"] - plan["memory_bytes"] <= 1.05 * resident()


def test_a_law_chooses_the_size(folder: Path, capsys: Any) -> None:
    _json(capsys, "fit", "joint.csv", "-o", "law.h5")
    report = _json(capsys, *PLAN, "--memory", "1GiB", "--law", "law.h5")
    assert report["best"]["loss"] == min(p["loss"] for p in report["plans"])
    assert report["optimum"]["loss"] <= report["best"]["loss"]
    assert main(["scaling", *PLAN, "--memory", "1GiB", "--law", "law.h5"]) == 0
    assert "least loss" in capsys.readouterr().out


def test_a_dry_run_of_a_fit_writes_nothing(folder: Path, capsys: Any) -> None:
    told = _json(capsys, "fit", "runs.csv", "-o", "law.h5", "--x", "parameters", "--dry-run")
    assert told["fits"]
    assert not (folder / "law.h5").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--memory", "1kB"], 1, "does not fit into 1 kB"),
        (["--memory", "16XB"], 2, "16GB"),
        (["--memory", "GB"], 2, "16GB"),
        (["--modes", "17"], 2, "none above its points"),
        (["--grid", "8", "8", "8", "8"], 2, "1 to 3"),
        (["--law", "runs.csv"], 2, "runs.csv"),
        (["--law", "one.h5"], 2, "expected one of two"),
    ],
)
def test_plans_that_cannot_be_made(folder: Path, capsys: Any, words: list[str], code: int, said: str) -> None:
    if "one.h5" in words:
        assert main(["scaling", "fit", "runs.csv", "-o", "one.h5", "--x", "parameters"]) == 0
    assert main(["scaling", *PLAN, *words]) == code
    assert said in capsys.readouterr().err.replace("do not fit", "does not fit")
