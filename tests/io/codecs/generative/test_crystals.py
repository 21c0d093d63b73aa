"""Files of crystals and of models that make them; damaged ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, generate_crystals, ionic_crystals
from sci.io import load, save

SALTS = Crystals(ionic_crystals().configurations[:4])


def test_crystals_come_back_to_the_bit(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", SALTS)
    found = load(tmp_path / "a.h5")
    for one, other in zip(found, SALTS):
        assert one.species == other.species
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.cell, other.cell)


@pytest.mark.parametrize("config", [CrystalConfig(widths=[4], steps=5), CrystalConfig("unet", (2, 2), 1, 5)], ids=repr)
def test_a_model_comes_back_and_draws_the_same(config: CrystalConfig, tmp_path: Path) -> None:
    model = CrystalDiffusion.create(SALTS, config)
    save(tmp_path / "m.h5", model)
    found = load(tmp_path / "m.h5")
    assert repr(found) == repr(model)
    for one, other in zip(*(generate_crystals(m, 2).configurations for m in (found, model))):
        np.testing.assert_array_equal(one.positions, other.positions)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("cell", np.zeros((3, 3)), "crystal 1"), ("positions", np.ones((8, 3)), "atoms 0")],
)
def test_contents_that_are_no_crystals_are_refused(name: str, value: Any, words: str, tmp_path: Path) -> None:
    wrong = Crystals(list(ionic_crystals())[:2])
    object.__setattr__(wrong.configurations[1], name, value)
    save(tmp_path / "a.h5", wrong)
    with pytest.raises(FileFormatError, match=words):
        load(tmp_path / "a.h5")
