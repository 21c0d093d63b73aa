"""`sci compress` and `sci decompress` of models, and predictions of models of codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import coded_models
import numpy as np
import pytest
from command_cases import run

from sci.cli.commands.operators.codes import predicting
from sci.io import load, read_header, save, save_samples

RNG = np.random.default_rng(20)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a model and samples."""
    save(tmp_path / "model.h5", coded_models.operator("fno"))
    x = coded_models.fields("fno", RNG, 4)
    save_samples(tmp_path / "samples.h5", x, x, grid_axes=2)
    return tmp_path


def test_there_predictions_and_back(files: Path, capsys: Any) -> None:
    small = files / "small.h5"
    given = ("compress", files / "model.h5", "-o", small, "--bits", "3", "--calibrate", files / "samples.h5")
    assert run(*given, "--groups", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    held = load(small)
    assert (found["bits"], found["parameter_bytes"], found["samples"]) == (3, held.nbytes, 4)
    assert found["ratio"] == held.ratio > 7
    assert found["bytes"] == small.stat().st_size
    assert found["output_error"] == held.output_error < 0.1
    assert all(len(code.codebooks) <= 2 for code in held.codes.values())
    assert read_header(small).parent_uuid == read_header(files / "model.h5").uuid
    held.require(load(files / "model.h5"))
    assert run("operator", "predict", small, files / "samples.h5", "-o", files / "y.h5", "--quiet") == 0
    x = load(files / "samples.h5").x
    np.testing.assert_allclose(load(files / "y.h5").y, held(x), rtol=0, atol=1e-6)
    assert run("decompress", small, "-o", files / "dense.h5") == 0
    np.testing.assert_allclose(load(files / "dense.h5")(x), held(x), rtol=0, atol=1e-5)
    capsys.readouterr()
    assert run("info", small) == 0
    said = capsys.readouterr().out
    assert "compressed_model" in said
    assert "ratio" in said
    assert "output_error" in said
    assert type(predicting(small)) is type(predicting(files / "model.h5"))


def test_a_dry_run_writes_nothing(files: Path, capsys: Any) -> None:
    given = ("compress", files / "model.h5", "-o", files / "s.h5", "--bits", "2", "--calibrate", files / "samples.h5")
    assert run(*given, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 4
    assert not (files / "s.h5").exists()


def test_refusals(files: Path, capsys: Any) -> None:
    model, samples, out = files / "model.h5", files / "samples.h5", files / "s.h5"
    save_samples(files / "two.h5", np.ones((3, 2, 16, 16)), np.ones((3, 1, 16, 16)), grid_axes=2)
    save_samples(files / "line.h5", np.ones((3, 1, 16)), np.ones((3, 1, 16)), grid_axes=1)
    for options, text in (
        (("--bits", "3"), "give --calibrate"),
        (("--calibrate", samples), "give --bits"),
        (("--tol", "1e-3"), "--tol goes with a file of fields"),
        (("--bits", "3", "--calibrate", files / "two.h5"), "has 2 channels"),
        (("--bits", "3", "--calibrate", files / "line.h5"), "grids of 1 axes"),
        (("--bits", "3", "--calibrate", samples, "--groups", "999"), "groups is 999"),
        (("--bits", "5", "--calibrate", samples), "invalid choice"),
    ):
        assert run("compress", model, "-o", out, *options) == 2
        assert text in capsys.readouterr().err
    assert run("compress", samples, "-o", out, "--bits", "3", "--calibrate", samples) == 2
    assert "--bits goes with a file of models" in capsys.readouterr().err
    assert run("compress", model, "-o", out, "--bits", "3", "--calibrate", samples) == 0
    assert run("compress", out, "-o", files / "t.h5", "--bits", "3", "--calibrate", samples) == 2
    assert "compressed already" in capsys.readouterr().err
    assert run("decompress", out, "-o", files / "t.npy") == 2
    assert "expected a name like t.h5" in capsys.readouterr().err
    assert not (files / "t.npy").exists()
    out.unlink()
    assert run("operator", "predict", samples, samples, "-o", out) == 2
    assert "expected a model of sci operator" in capsys.readouterr().err
    assert not out.exists()
