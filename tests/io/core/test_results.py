"""Results beside an object: nesting, dtypes, damage."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io import load_results, save
from sci.potentials import Particles

ION = Particles([[0.0, 0.0, 0.0]], [1.0])


def test_numbers_arrays_texts_and_mappings_come_back(tmp_path):
    results = {
        "n": 3,
        "on": True,
        "x": 0.5,
        "note": "\u03a9",
        "deep": {"deeper": {"values": np.arange(4)}},
        "empty": {},
    }
    save(tmp_path / "a.h5", ION, results=results)
    found = load_results(tmp_path / "a.h5")
    np.testing.assert_array_equal(found["deep"]["deeper"].pop("values"), np.arange(4))
    assert found == {"n": 3.0, "on": 1.0, "x": 0.5, "note": "\u03a9", "deep": {"deeper": {}}, "empty": {}}


def test_a_file_without_results_has_none(tmp_path):
    save(tmp_path / "a.h5", ION)
    assert load_results(tmp_path / "a.h5") == {}


def test_damaged_results(tmp_path):
    save(tmp_path / "a.h5", ION, results={"x": 0.5})
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["results/x"][...] = 0.25
    with pytest.raises(FileFormatError, match="results/x fails its checksum"):
        load_results(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.create_group("results/" + "/".join("abcdefghij"))
    with pytest.raises(FileFormatError, match="nested too deep"):
        load_results(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["results"]
        file["results/x"] = np.array([b"text"])
    with pytest.raises(FileFormatError, match="x has dtype"):
        load_results(tmp_path / "a.h5")
