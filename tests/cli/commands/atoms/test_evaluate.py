"""`sci atoms evaluate`: the predictions of the library, for any ranks, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atom_cases import crystal, molecule, potential
from command_cases import run
from thread_ranks import on_ranks

from sci.atomistic import Configuration, predict_configurations
from sci.cli.commands.atoms import evaluate
from sci.cli.parser import parse
from sci.io import load, read_header, save, write_configurations

MADE = potential(charges={"Na": 1.0, "Cl": -1.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "m.h5", MADE)
    known = Configuration(crystal().species, crystal().positions, crystal().cell, energy=1.0, forces=np.ones((12, 3)))
    write_configurations(tmp_path / "d.extxyz", [known, molecule()])
    write_configurations(tmp_path / "one.extxyz", [known])
    return tmp_path


def test_predictions_are_those_of_the_library(folder: Path, capsys: Any) -> None:
    assert run("atoms", "evaluate", folder / "m.h5", folder / "d.extxyz", "-o", folder / "o.h5", "--json") == 0
    report, found = json.loads(capsys.readouterr().out), load(folder / "o.h5")
    expected = predict_configurations(MADE, found.configurations)
    for one, two in zip(found.predictions, expected.predictions):
        np.testing.assert_array_equal(one.forces, two.forces)
    assert report["energies"] == [one.energy for one in expected.predictions]
    assert report["force"] == expected.errors["force"]
    assert read_header(folder / "o.h5").parent_uuid == read_header(folder / "m.h5").uuid
    assert run("atoms", "evaluate", folder / "m.h5", folder / "one.extxyz", "-o", folder / "p.h5") == 0
    assert "energy" in capsys.readouterr().out


def test_ranks_share_configurations_or_atoms(folder: Path) -> None:
    for name, ranks in (("d", 2), ("one", 3)):
        words = ["atoms", "evaluate", str(folder / "m.h5"), str(folder / f"{name}.extxyz"), "--quiet", "-o"]
        assert run(*words, folder / f"{name}.h5") == 0

        def body(comm: Any, words: list[str] = words, name: str = name) -> None:
            arguments = parse([*words, str(folder / f"{name}_ranks.h5")])
            arguments.comm = comm
            evaluate.run(arguments)

        on_ranks(ranks, body)
        alone, shared = load(folder / f"{name}.h5"), load(folder / f"{name}_ranks.h5")
        for one, two in zip(alone.predictions, shared.predictions, strict=True):
            assert one.energy == pytest.approx(two.energy, abs=1e-10)
            np.testing.assert_allclose(one.forces, two.forces, atol=1e-10)


def test_what_does_not_fit_is_refused(folder: Path, capsys: Any) -> None:
    write_configurations(folder / "k.extxyz", [molecule(), Configuration(("Na", "K"), [[0, 0, 0], [3.0, 0, 0]])])
    assert run("atoms", "evaluate", folder / "m.h5", folder / "k.extxyz", "-o", folder / "o.h5") == 2
    assert "atom 1 of configuration 1 (counted from 0) is 'K'" in capsys.readouterr().err
    save(folder / "given.h5", potential(charges="given"))
    assert run("atoms", "evaluate", folder / "given.h5", folder / "d.extxyz", "-o", folder / "o.h5") == 2
    assert "d.extxyz: frame 0 (counted from 0) has no charges" in capsys.readouterr().err
    save(folder / "crystal.h5", predict_configurations(MADE, [molecule()]))
    assert run("atoms", "evaluate", folder / "crystal.h5", folder / "d.extxyz", "-o", folder / "o.h5") == 2
    assert "expected a potential of sci atoms train" in capsys.readouterr().err
    assert run("atoms", "evaluate", folder / "m.h5", folder / "d.extxyz", "-o", folder / "o.h5", "--dry-run") == 0
    assert not (folder / "o.h5").exists()
