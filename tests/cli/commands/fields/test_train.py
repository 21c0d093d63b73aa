"""`sci fields train`: the model of the library, a codebook that is made or taken, checkpoints, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run

from sci.cli.commands.fields.train import scales_of
from sci.compression import train_vector_quantizer
from sci.errors import InvalidValueError
from sci.generative import NextScaleConfig, NextScaleModel, ScaleTokens, train_next_scale
from sci.io import load, read_header, save_samples
from sci.nn import AdamW

RNG = np.random.default_rng(0)
X = (3 + RNG.normal(size=(24, 1, 4, 4))).astype("f4")
Y = np.repeat(np.repeat(X, 2, axis=2), 2, axis=3) + 0.1 * RNG.normal(size=(24, 1, 8, 8)).astype("f4")
SMALL = ("--codes", 4, "--rounds", 2, "--width", 8, "--heads", 2, "--layers", 1, "--epochs", 2, "--batch", 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_samples(tmp_path / "s.h5", X, Y, grid_axes=2)
    save_samples(tmp_path / "t.h5", X[:4], Y[:4], grid_axes=2)
    return tmp_path


def _train(folder: Path, *words: object, data: str = "s.h5", out: str = "m.h5", book: str = "b.h5") -> int:
    return run("fields", "train", folder / data, "-o", folder / out, "--codebook", folder / book, *SMALL, *words)


def test_the_model_is_that_of_the_library(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--json", "--test", folder / "t.h5", "--seed", 2) == 0
    report, found = json.loads(capsys.readouterr().out), load(folder / "m.h5")
    options: dict[str, Any] = {"patch": (2, 2), "one_each": True, "rounds": 2, "seed": 2}
    quantizer, _ = train_vector_quantizer(Y, [(1, 1), (2, 2), (4, 4)], 4, **options)
    assert load(folder / "b.h5").fingerprint == quantizer.fingerprint == found.config.codebook
    sizes = {"width": 8, "heads": 2, "layers": 1, "context": 1}
    scale = {"context_mean": [float(X.mean(dtype=np.float64))], "context_std": [float(X.std(dtype=np.float64))]}
    config = NextScaleConfig.of(quantizer, **sizes, **scale)
    tokens = ScaleTokens.of(config, quantizer, Y, context=X)
    start = NextScaleModel.create(config, seed=2)
    training: dict[str, Any] = {"epochs": 2, "batch_size": 8, "optimizer": AdamW(3e-3), "drop": 0.0, "seed": 2}
    expected, _ = train_next_scale(start, tokens, **training)
    for name, parameter in expected.parameters.items():
        np.testing.assert_allclose(found.parameters[name], parameter, rtol=1e-5, atol=1e-7)
    others = ScaleTokens.of(config, quantizer, Y[:4], context=X[:4])
    assert report["nats_t"] == pytest.approx(np.average(expected.nats(others), weights=config.blocks), rel=1e-4)
    assert (report["steps"], report["fields"], report["codes"]) == (6, 24, 21)
    assert read_header(folder / "m.h5").parent_uuid == read_header(folder / "s.h5").uuid


def test_a_training_goes_on_with_its_codebook_to_the_same_bits(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--checkpoint", folder / "c.h5") == 0
    written = (folder / "b.h5").stat().st_mtime_ns
    assert _train(folder, "--resume", folder / "c.h5", out="again.h5") == 0
    assert (folder / "b.h5").stat().st_mtime_ns == written
    first, second = load(folder / "m.h5"), load(folder / "again.h5")
    assert all((first.parameters[name] == p).all() for name, p in second.parameters.items())
    assert _train(folder, "--resume", folder / "c.h5", out="x.h5", book="other.h5") == 2
    assert "--resume needs the codebook" in capsys.readouterr().err


def test_a_codebook_that_there_is_has_the_sizes_that_are_asked_for(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--scales", 1, 4) == 0
    for words, said in (
        (("--codes", 8), "--codes 8, and "),
        (("--patch", 4), "has (2, 2); leave --patch out"),
        (("--scales", 1, 2, 4), "--scales 1 2 4, and "),
    ):
        assert _train(folder, *words, out="x.h5") == 2
        assert said in capsys.readouterr().err
    assert _train(folder, "--patch", 2, "--scales", 1, 4, out="y.h5") == 0


def test_a_dry_run_writes_nothing(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fits"]
    assert not (folder / "m.h5").exists()
    assert not (folder / "b.h5").exists()


def test_what_does_not_fit_is_refused(folder: Path, capsys: Any) -> None:
    for words, said in (
        (("--patch", 3), "--patch 3 does not divide the grid (8, 8)"),
        (("--scales", 1, 2), "the last one 4"),
        (("--heads", 3), "heads that divide the width"),
    ):
        assert _train(folder, *words) == 2
        assert said in capsys.readouterr().err
    save_samples(folder / "plain.h5", X, Y)
    assert _train(folder, data="plain.h5") == 2
    assert "does not record the number of grid axes" in capsys.readouterr().err
    assert not (folder / "b.h5").exists()


def test_scales_end_at_all_patches() -> None:
    assert scales_of((8, 12), 2, None) == [(1, 1), (2, 2), (4, 4), (4, 6)]
    assert scales_of((2, 2), 2, None) == [(1, 1)]
    assert scales_of((16,), 1, [1, 4, 16]) == [(1,), (4,), (16,)]
    with pytest.raises(InvalidValueError, match="rising numbers"):
        scales_of((16,), 1, [4, 1, 16])
