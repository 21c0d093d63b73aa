"""`sci crystals generate`: the draws of the library in every format, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run

from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, generate_crystals, ionic_crystals
from sci.io import load, read_crystals, read_header, save

SALTS = Crystals(ionic_crystals().configurations[:6])
# Without training, a model of the noise scatters atoms; one that predicts crystals puts all in one place.
MODEL = CrystalDiffusion.create(SALTS, CrystalConfig(widths=[6], depth=1, steps=10, predicts="residual"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "m.h5", MODEL)
    return tmp_path


def _generate(folder: Path, out: str, *words: object) -> int:
    return run("crystals", "generate", folder / "m.h5", "-o", folder / out, *words)


@pytest.mark.parametrize("out", ["new.h5", "new.extxyz", "new"])
def test_the_crystals_are_those_of_the_library(folder: Path, out: str, capsys: Any) -> None:
    if out == "new":
        pytest.importorskip("gemmi")
    words = ("--number", 3, "--composition", "LiF", "--units", 4, "--seed", 2, "--steps", 5, "--eta", 0, "--json")
    assert _generate(folder, out, *words) == 0
    report, found = json.loads(capsys.readouterr().out), read_crystals(folder / out)
    expected = generate_crystals(MODEL, 3, composition={"Li": 4, "F": 4}, seed=2, steps=5, eta=0.0)
    assert (report["crystals"], report["formulas"]) == (3, ["FLi"] * 3)
    for one, other in zip(found, expected.configurations):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-5)
    if out == "new.h5":
        assert read_header(folder / out).parent_uuid == read_header(folder / "m.h5").uuid


def test_draws_that_are_no_crystal_are_told(folder: Path, capsys: Any) -> None:
    free = CrystalDiffusion.create(SALTS, CrystalConfig(widths=[6], steps=10, compositions="joint"))
    save(folder / "free.h5", free.with_parameters({n: 0 * p for n, p in free.parameters.items()}))
    assert run("crystals", "generate", folder / "free.h5", "-o", folder / "a.h5", "--steps", 1) == 1
    assert "no slot holds an atom; expected one at least; train the model longer" in capsys.readouterr().err
    assert not (folder / "a.h5").exists()


def test_compositions_of_the_model_are_told_with_the_part_that_was_kept(folder: Path, capsys: Any) -> None:
    config = CrystalConfig(widths=[6], depth=1, steps=10, predicts="residual", compositions="first", composer=6)
    save(folder / "m.h5", CrystalDiffusion.create(SALTS, config), overwrite=True)
    assert _generate(folder, "new.h5", "--neutral", "--number", 3, "--steps", 1, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    expected = generate_crystals(load(folder / "m.h5"), 3, neutral=True, steps=1)
    assert report["accepted_compositions"] == expected.accepted < 1
    assert _generate(folder, "more.h5", "--neutral", "--number", 3, "--steps", 1) == 0
    assert "compositions kept" in capsys.readouterr().out
    assert _generate(folder, "b.h5", "--neutral", "--composition", "LiF") == 2
    assert "neutral is for compositions that the model draws" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(folder: Path, capsys: Any) -> None:
    assert _generate(folder, "new", "--dry-run", "--json", "--number", 5) == 0
    assert json.loads(capsys.readouterr().out)["fits"]
    assert not (folder / "new").exists()


def test_what_does_not_fit_is_refused(folder: Path, capsys: Any) -> None:
    save(folder / "salts.h5", SALTS)
    (folder / "there").mkdir()
    for out, words, said in (
        ("a.h5", ("--composition", "NaHe"), "atom 0 (counted from 0) is He, an element of no crystal"),
        ("a.h5", ("--composition", "Na9"), "at most 4"),
        ("a.h5", ("--units", 2), "--units goes with --composition"),
        ("a.h5", ("--steps", 11), "an integer from 1 to 10"),
        ("a.cif", ("--number", 2), "one CIF file for 2 crystals"),
        ("a.pdb", (), "the suffix '.pdb' is unknown"),
        ("there", (), "exists"),
        ("none/there", (), "does not exist"),
    ):
        assert _generate(folder, out, *words) == 2, out
        assert said in capsys.readouterr().err
    assert run("crystals", "generate", folder / "salts.h5", "-o", folder / "a.h5") == 2
    assert "expected a model of sci crystals train" in capsys.readouterr().err
    assert isinstance(load(folder / "m.h5"), CrystalDiffusion)
