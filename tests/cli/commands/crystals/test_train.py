"""`sci crystals train`: the model of the library, checkpoints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run

from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, CrystalTraining, ionic_crystals, train_crystals
from sci.io import load, read_header, save, write_crystals

SALTS = Crystals(ionic_crystals().configurations[:6])
SMALL = ("--widths", 6, "--depth", 1, "--steps", 10, "--epochs", 3, "--batch", 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_crystals(tmp_path / "d.extxyz", SALTS)
    return tmp_path


def _train(folder: Path, *words: object, data: str = "d.extxyz", out: str = "m.h5") -> int:
    return run("crystals", "train", folder / data, "-o", folder / out, *SMALL, *words)


def test_the_model_is_that_of_the_library(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--json", "--shuffle-slots", "--translate", "--seed", 2) == 0
    report, found = json.loads(capsys.readouterr().out), load(folder / "m.h5")
    start = CrystalDiffusion.create(SALTS, CrystalConfig(widths=[6], depth=1, steps=10), seed=2)
    training = CrystalTraining(3, 4, shuffle_slots=True, translate=True)
    expected, history = train_crystals(start, SALTS, training, seed=2)
    for name, parameter in expected.parameters.items():
        np.testing.assert_allclose(found.parameters[name], parameter, rtol=1e-5, atol=1e-7)
    assert (report["steps"], report["crystals"]) == (6, 6)
    assert report["loss"] == pytest.approx(history.losses[-1], rel=1e-5)
    assert read_header(folder / "m.h5").command.startswith("sci crystals train")


@pytest.mark.parametrize(
    "words", [("--compositions", "joint", "--empty-weight", 0.5), ("--network", "unet", "--widths", 2, 2)]
)
def test_other_models_are_trained_from_hdf5_too(folder: Path, words: tuple[Any, ...]) -> None:
    save(folder / "d.h5", SALTS)
    assert _train(folder, *words, data="d.h5") == 0
    found = load(folder / "m.h5").config
    assert found.compositions == ("joint" if "joint" in words else "given")
    assert found.network == ("unet" if "unet" in words else "perceptron")


def test_a_training_goes_on_to_the_same_bits(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--checkpoint", folder / "c.h5") == 0
    assert _train(folder, "--resume", folder / "c.h5", out="again.h5") == 0
    first, second = load(folder / "m.h5"), load(folder / "again.h5")
    assert all((first.parameters[name] == p).all() for name, p in second.parameters.items())
    assert _train(folder, "--resume", folder / "c.h5", "--translate", out="x.h5") == 2
    assert "translate" in capsys.readouterr().err
    assert _train(folder, "--resume", folder / "m.h5", out="x.h5") == 2
    assert "expected a checkpoint" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fits"]
    assert not (folder / "m.h5").exists()


def test_what_does_not_fit_is_refused(folder: Path, capsys: Any) -> None:
    for words, said in (
        (("--empty-weight", 1), "goes with --compositions joint"),
        (("--widths", 4, 4), "one number for a perceptron"),
        (("--network", "unet"), "two or three even numbers"),
        (("--widths", 4, 5, "--network", "unet"), "even numbers"),
    ):
        assert _train(folder, *words) == 2
        assert said in capsys.readouterr().err
    (folder / "bad.extxyz").write_text("1\n\nHe 0 0 0\n")
    assert _train(folder, data="bad.extxyz") == 2
    assert "frame 0 (counted from 0): its atoms do not repeat" in capsys.readouterr().err
