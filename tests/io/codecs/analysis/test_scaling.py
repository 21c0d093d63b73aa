"""Power laws in files: back as they were, labelled, and damage refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import make_objects, same

from sci.errors import FileFormatError
from sci.io import describe, load, save
from sci.scaling import fit_power_law


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    x = np.geomspace(1, 1e3, 8)
    fit = fit_power_law(x, 1 + x**-0.5, samples=20, seed=3)
    save(tmp_path / "law.h5", fit)
    again = load(tmp_path / "law.h5")
    assert same(again, fit)
    np.testing.assert_array_equal(again.interval(1e5), fit.interval(1e5))
    told = describe(tmp_path / "law.h5")
    assert told["kind"] == "power_law"
    assert told["datasets"]["samples"]["dims"] == ["sample", "parameter"]


@pytest.mark.parametrize("name", ["limit", "exponents", "samples", "noise", "x", "loss", "seed"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    save(tmp_path / "law.h5", make_objects()["power_law"])
    with h5py.File(tmp_path / "law.h5", "a") as file:
        del file[name]
    with pytest.raises(FileFormatError, match=name):
        load(tmp_path / "law.h5")


def test_exponents_are_positive(tmp_path: Path) -> None:
    save(tmp_path / "law.h5", make_objects()["power_law"])
    with h5py.File(tmp_path / "law.h5", "a") as file:
        file["exponents"][0] = -1.0
    with pytest.raises(FileFormatError):
        load(tmp_path / "law.h5")
