"""`sci crystals evaluate`: the measures of the library as JSON and as a table."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from command_cases import run

from sci.generative import Crystals, crystal, evaluate_crystals, ionic_crystals
from sci.io import write_crystals

SALTS = ionic_crystals().configurations[:6]
CLOSE = crystal([11, 17], [[0, 0, 0], [0.05, 0, 0]], [[4, 0, 0], [0, 4, 0], [0, 0, 4]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_crystals(tmp_path / "new.extxyz", Crystals([*SALTS[2:], CLOSE]))
    write_crystals(tmp_path / "old.extxyz", Crystals(SALTS[:4]))
    write_crystals(tmp_path / "close.extxyz", Crystals([CLOSE]))
    return tmp_path


def test_the_measures_are_those_of_the_library(folder: Path, capsys: Any) -> None:
    words = ("crystals", "evaluate", folder / "new.extxyz", "--training", folder / "old.extxyz")
    assert run(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    expected = evaluate_crystals([*SALTS[2:], CLOSE], training=Crystals(SALTS[:4]))
    assert (found["validity"], found["novelty"], found["uniqueness"]) == (0.8, 0.5, 1.0)
    assert found["density_distance"] == pytest.approx(expected.density_distance)
    assert run(*words) == 0
    table = capsys.readouterr().out
    assert "valid" in table
    assert "80.0%" in table


def test_space_groups_need_spglib(folder: Path, capsys: Any) -> None:
    code = run("crystals", "evaluate", folder / "old.extxyz", "--symmetry", 0.01, "--training", folder / "old.extxyz")
    shown = capsys.readouterr()
    if importlib.util.find_spec("spglib") is None:
        assert code == 2
        assert "space groups need spglib" in shown.err
    else:
        assert code == 0
        assert "225: 4" in shown.out


def test_nothing_valid_is_told(folder: Path, capsys: Any) -> None:
    assert run("crystals", "evaluate", folder / "close.extxyz", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["validity"], found["uniqueness"], found["density"]) == (0, None, [None, None])
    assert run("crystals", "evaluate", folder / "close.extxyz") == 0
    assert run("crystals", "evaluate", folder / "close.extxyz", "--dry-run") == 0
