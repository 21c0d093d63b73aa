"""Models and losses that the options of `sci operator train` choose, and options that do not go together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sci.cli import main
from sci.io import load, save_samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("models"), np.random.default_rng(0)
    for name, size in (("train", 8), ("test", 12)):
        x = rng.normal(size=(16, size, size)).astype(np.float32)
        save_samples(path / f"{name}.h5", x, np.roll(x, 1, axis=1), grid_axes=2, periodic=True)
    return path


def run(*words):
    return main(["operator", *map(str, words)])


def test_other_models(folder, capsys):
    out = folder / "kind.h5"
    common = ["train", folder / "train.h5", "-o", out, "--overwrite", "--json", "--epochs", 2, "--hidden", 4]
    for words, name in (
        (["--modes", 4, "--separable"], "separable"),
        (["--model", "uno", "--modes", 4, "--layers", 3, "--norm", "group"], "UNO"),
        (["--model", "uno", "--block-modes", 4, 2, 4, "--block-scalings", 1, 0.5, 2], "UNO"),
        (["--model", "sfno", "--modes", 4, "--circles", "gauss-legendre", "--joint", "--rank-fraction", 0.5], "SFNO"),
        (["--modes", 5, "--incremental", "gradient", "--start-modes", 3, "--threshold", 0], "(4, 4)"),
        (["--modes", 4, "--loss", "lp", "--order", 1], "FNO"),
        (["--modes", 4, "--loss", "sobolev"], "FNO"),
    ):
        assert run(*common, *words) == 0
        assert name in repr(load(out))
        assert json.loads(capsys.readouterr().out)["parameters"] == load(out).model.n_parameters
        assert run("predict", out, folder / "test.h5", "-o", folder / "kind_out.h5", "--overwrite", "--json") == 0
        assert json.loads(capsys.readouterr().out)["grid"] == [12, 12]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--model", "sfno", "--padding", "0.1"], "--padding goes with --model fno or uno, not with sfno"),
        (["--model", "uno", "--joint"], "--joint goes with --model fno or sfno"),
        (["--block-modes", "4"], "--block-modes goes with --model uno, not with fno"),
        (["--circles", "gauss-legendre"], "--circles goes with --model sfno"),
        (["--order", "2"], "--order goes with --loss lp or sobolev, not with h1"),
        (["--threshold", "1"], "--threshold goes with --incremental loss-gap or gradient; give that"),
        (["--factorization", "dense", "--rank-fraction", "0.5"], "--rank-fraction goes with"),
        (["--model", "uno", "--block-modes", "4", "4", "--layers", "3"], "--block-modes has 2 numbers; expected 3"),
        (["--model", "uno", "--block-modes", "4", "4", "--modes", "4"], "leave one out"),
    ],
)
def test_options_of_other_kinds_are_refused_by_name(folder, capsys, words, text):
    assert run("train", folder / "train.h5", "-o", folder / "bad.h5", *words) == 2
    assert text in capsys.readouterr().err
    assert not (folder / "bad.h5").exists()
