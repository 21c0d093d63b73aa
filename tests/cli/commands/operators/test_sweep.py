"""`sci operator sweep`: a table of runs that are those of `train`, the best rate, and what is left out or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sci.cli import main
from sci.io import load, load_samples, read_table, save_samples
from sci.operators import relative_errors

SMALL = ["--modes", "2", "--layers", "1", "--epochs", "2", "--batch", "4"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, n, seed in (("s", 12, 0), ("t", 4, 1)):
        x = np.random.default_rng(seed).normal(size=(n, 8, 8)).astype(np.float32)
        save_samples(tmp_path / f"{name}.h5", x, np.roll(x, 1, axis=1) - x, grid_axes=2, periodic=True)
    save_samples(tmp_path / "lines.h5", *np.ones((2, 4, 8)), grid_axes=1, periodic=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(*words: str) -> int:
    return main(["operator", "sweep", "s.h5", "-o", "runs.csv", "--test", "t.h5", *SMALL, *words])


def test_every_combination_is_a_line_and_the_run_of_train(folder: Path, capsys: Any) -> None:
    words = ["--hidden", "4", "6", "--learning-rate", "0.01", "0.03", "--samples", "8", "12", "--seeds", "2"]
    mup = ["--parametrization", "mup", "--base-width", "4"]
    assert _run(*words, *mup, "--json") == 0
    report, table = json.loads(capsys.readouterr().out), read_table("runs.csv")
    assert (report["runs"], report["diverged"], len(table["error"])) == (16, 0, 16)
    kinds = np.stack([table[name] for name in ("hidden", "learning_rate", "samples", "seed")], axis=1)
    assert len(np.unique(kinds, axis=0)) == 16
    one = ["train", "s.h5", "-o", "m.h5", *SMALL, "--hidden", "6", "--learning-rate", "0.03", "--seed", "1", *mup]
    assert main(["operator", *one, "--quiet"]) == 0
    model, tests = load("m.h5"), load_samples("t.h5")
    error = relative_errors(model(tests.x[:, None]), tests.y[:, None], periodic=True)["l2"]
    at = np.flatnonzero((kinds == [6, 0.03, 12, 1]).all(axis=1))
    np.testing.assert_allclose(table["error"][at], error, rtol=1e-6)
    assert table["parameters"][at] == model.model.n_parameters
    for kind in report["kinds"]:
        own = (table["hidden"] == kind["hidden"]) & (table["samples"] == kind["samples"])
        means = {r: table["error"][own & (table["learning_rate"] == r)].mean() for r in (0.01, 0.03)}
        assert kind["error"] == pytest.approx(min(means.values()), rel=1e-6)
        assert kind["rate"] == min(means, key=lambda r: means[r])
        assert kind["at_end"], "one of two rates is the last that was tried"


def test_a_run_that_diverges_is_left_out(folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from sci.cli.commands.operators import sweep
    from sci.errors import ConvergenceError

    train = sweep.train_operator

    def diverging(model: Any, x: Any, y: Any, config: Any, **options: Any) -> Any:
        if config.learning_rate > 0.1:
            raise ConvergenceError("the loss is NaN at step 3")
        return train(model, x, y, config, **options)

    monkeypatch.setattr(sweep, "train_operator", diverging)
    assert _run("--hidden", "4", "--learning-rate", "0.01", "0.5", "--json") == 0
    out = capsys.readouterr()
    assert "rate 0.5, seed 0 is left out: the loss is NaN" in out.err
    assert (json.loads(out.out)["diverged"], len(read_table("runs.csv")["error"])) == (1, 1)
    assert _run("--hidden", "4", "--learning-rate", "0.5", "--overwrite") == 1
    assert "all of 1 runs diverged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hidden", "4", "4"], "stands twice"),
        (["--samples", "13"], "has 12"),
        (["--base-width", "4"], "--parametrization mup"),
        (["--hidden", "4", "--test", "lines.h5"], "lines.h5"),
        (["--test", "s.h5", "-o", "s.h5"], "s.h5"),
    ],
)
def test_what_is_refused(folder: Path, capsys: Any, words: list[str], said: str) -> None:
    before = (folder / "s.h5").read_bytes()
    assert _run(*words) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "runs.csv").exists()
    assert (folder / "s.h5").read_bytes() == before


def test_a_table_is_not_replaced_unasked(folder: Path, capsys: Any) -> None:
    (folder / "runs.csv").write_text("mine\n")
    assert _run("--hidden", "4") == 2
    assert "runs.csv" in capsys.readouterr().err
    assert (folder / "runs.csv").read_text() == "mine\n"
