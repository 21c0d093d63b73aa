"""Predictions in files: they come back, and damage is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from atom_cases import crystal, molecule, potential
from samples import make_objects, same

from sci.atomistic import predict_configurations
from sci.errors import FileFormatError
from sci.io import load, save


def test_files_give_them_back(tmp_path):
    found = predict_configurations(potential(), [crystal(), molecule()])
    save(tmp_path / "out.h5", found)
    again = load(tmp_path / "out.h5")
    assert repr(again) == repr(found) == "Predictions(2 configurations, 17 atoms)"
    assert same(again, found)
    assert again.configurations[1].cell is None


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("species_numbers", np.array([0, 1, 7]), "species or counts"),
        ("atom_counts", np.array([3, 0]), "species or counts"),
        ("cells", np.ones((2, 3, 3)), "no volume"),
    ],
)
def test_damage_is_refused(tmp_path, name, values, words):
    path = tmp_path / "out.h5"
    save(path, make_objects()["atomic_predictions"])
    with h5py.File(path, "a") as file:
        dataset = file[f"atomic_predictions/{name}"]
        dataset[...] = values
        del dataset.attrs["crc32"]
    with pytest.raises(FileFormatError, match=words):
        load(path)
