"""`sci atoms train`: the potential of the library, checkpoints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run

from sci.atomistic import (
    AtomisticConfig,
    AtomisticPotential,
    Configuration,
    PotentialTraining,
    ionic_melt,
    prediction_errors,
    train_potential,
)
from sci.cli.commands.atoms.train import labelled
from sci.io import load, read_header, write_configurations

MELT = ionic_melt(3, 4, between=1, start=1, seed=1)
SMALL = ("--cutoff", 3.5, "--channels", 2, "--radial", 3, "--epochs", 3, "--batch", 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_configurations(tmp_path / "d.extxyz", MELT)
    write_configurations(tmp_path / "t.extxyz", MELT[:2])
    return tmp_path


def _train(folder: Path, *words: object, out: str = "m.h5") -> int:
    return run("atoms", "train", folder / "d.extxyz", "-o", folder / out, *SMALL, *words)


def test_the_potential_is_that_of_the_library(folder: Path, capsys: Any) -> None:
    words = ("--charges", "Na=1", "Cl=-1", "--test", folder / "t.extxyz", "--json")
    assert _train(folder, *words) == 0
    report, found = json.loads(capsys.readouterr().out), load(folder / "m.h5")
    plain = AtomisticConfig(("Cl", "Na"), 3.5, channels=2, n_radial=3, charges={"Na": 1.0, "Cl": -1.0})
    tests = {"test": MELT[:2]}
    expected, history = train_potential(AtomisticPotential(plain), MELT, PotentialTraining(3, 2), tests=tests)
    for name, parameter in expected.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], parameter)
    assert (report["steps"], report["loss"]) == (6, history.losses[-1])
    assert report["force"] == pytest.approx(prediction_errors(found, MELT)["force"])
    assert report["force_test"] == pytest.approx(prediction_errors(found, MELT[:2])["force"])
    assert read_header(folder / "m.h5").command.startswith("sci atoms train")


def test_a_training_goes_on_to_the_same_bits(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--horizon", 3, "--checkpoint", folder / "c.h5") == 0
    words = ("--horizon", 3, "--checkpoint", folder / "half.h5")
    assert _train(folder, *words, "--epochs", 1, out="half_model.h5") == 0
    assert _train(folder, "--horizon", 3, "--resume", folder / "half.h5", out="again.h5") == 0
    first, second = load(folder / "m.h5"), load(folder / "again.h5")
    assert all((first.parameters[name] == p).all() for name, p in second.parameters.items())
    assert "errors" in capsys.readouterr().out
    assert _train(folder, "--resume", folder / "m.h5", out="x.h5") == 2
    assert "expected a checkpoint" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fits"]
    assert not (folder / "m.h5").exists()


def test_what_does_not_fit_is_refused(folder: Path, capsys: Any) -> None:
    bare = [Configuration(one.species, one.positions, one.cell) for one in MELT]
    write_configurations(folder / "bare.extxyz", bare)
    assert run("atoms", "train", folder / "bare.extxyz", "-o", folder / "m.h5", *SMALL) == 2
    assert "frame 0 (counted from 0) has no energy, forces or stress" in capsys.readouterr().err
    uncharged = Configuration(MELT[0].species, MELT[0].positions, MELT[0].cell, energy=1.0)
    write_configurations(folder / "uncharged.extxyz", [uncharged])
    words = ("-o", folder / "m.h5", "--charges", "given")
    assert run("atoms", "train", folder / "uncharged.extxyz", *words, *SMALL) == 2
    assert "uncharged.extxyz: frame 0 (counted from 0) has no charges" in capsys.readouterr().err
    for words, said in (
        (("--charges", "Na=1"), "differ in Cl"),
        (("--charges", "Na=1", "Na=2", "Cl=1"), "twice"),
        (("--charges", "Na"), "like Na=1"),
        (("--charges", "Na=1", "given"), "beside charges"),
        (("--charges", "learned", "given"), "beside charges"),
        (("--charges", "learned", "Na=1"), "charge_start and species differ in Cl"),
        (("--patience", 2), "--test"),
        (("--message-degree", 3), "message_degree is 3"),
        (("--energy-weight", 0, "--force-weight", 0, "--stress-weight", 0), "not all 0"),
    ):
        assert _train(folder, *words) == 2, words
        assert said in capsys.readouterr().err, words
    assert not (folder / "m.h5").exists()
    assert _train(folder, "--precision", "single", "--charges", "given") == 0
    assert load(folder / "m.h5").dtype == np.float32
    assert load(folder / "m.h5").config.charges == "given"


def test_charges_are_learned_from_those_that_are_given(folder: Path, capsys: Any) -> None:
    assert _train(folder, "--charges", "learned", "Na=0.7", "Cl=-0.7") == 0
    made = load(folder / "m.h5")
    assert (made.config.charges, made.config.charge_start) == ("learned", {"Cl": -0.7, "Na": 0.7})
    assert made.parameters["charge.start"][0, 0] != -0.7  # it was trained
    assert abs(made.charges(MELT[0]).sum()) < 1e-12
    assert _train(folder, "--charges", "learned", out="plain.h5") == 0
    assert load(folder / "plain.h5").config.charge_start is None
    capsys.readouterr()
    assert run("atoms", "evaluate", folder / "m.h5", folder / "t.extxyz", "-o", folder / "p.h5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["force"] == prediction_errors(made, MELT[:2])["force"]


def test_errors_are_told_in_words() -> None:
    assert labelled({"stress": 1e-3}) == "stress 1 meV/angstrom^3"
