"""Clusters and selections come back to the bit, and damage is told."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from sci.ensembles import Clusters, Selection, k_means, select
from sci.errors import FileFormatError
from sci.io import load, load_arrays, save

X = np.random.default_rng(0).normal(size=(40, 3))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_clusters_come_back(tmp_path: Path, dtype: str) -> None:
    found = k_means(X.astype(dtype), 5)
    save(tmp_path / "a.h5", found)
    back = load(tmp_path / "a.h5")
    for name in ("centers", "labels", "squared"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
        assert getattr(back, name).dtype == getattr(found, name).dtype
    numbers = ("inertia", "iterations", "converged")
    assert [getattr(back, name) for name in numbers] == [getattr(found, name) for name in numbers]
    assert load_arrays(tmp_path / "a.h5")["clusters/centers"].dims == ("center", "coordinate")


def test_a_selection_comes_back(tmp_path: Path) -> None:
    found = select(X[:, 0], 0.2, "easy")
    save(tmp_path / "a.h5", found)
    back = load(tmp_path / "a.h5")
    assert (back.mode, back.threshold) == ("easy", found.threshold)
    np.testing.assert_array_equal(back.indices, found.indices)
    np.testing.assert_array_equal(back.scores, found.scores)


@pytest.mark.parametrize(
    ("object", "says"),
    [
        (Clusters(np.zeros((2, 1)), np.array([0, 2]), np.zeros(2), 0.0, 1, True), "names centers that do not exist"),
        (Clusters(np.zeros((2, 1)), np.array([0, -1]), np.zeros(2), 0.0, 1, True), "names centers that do not exist"),
        (Selection(np.array([1, 0]), np.zeros(2), "hard"), "no ascending numbers of points"),
        (Selection(np.array([2]), np.zeros(2), "hard"), "no ascending numbers of points"),
        (Selection(np.array([0]), np.zeros(2), "soft"), "mode .* is 'soft'; expected hard or easy"),
    ],
)
def test_contents_that_do_not_fit_are_told(tmp_path: Path, object: Clusters | Selection, says: str) -> None:
    save(tmp_path / "a.h5", object)
    with pytest.raises(FileFormatError, match=says):
        load(tmp_path / "a.h5")


def test_a_missing_dataset_is_told(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", k_means(X, 2))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["clusters/squared"]
    with pytest.raises(FileFormatError, match="clusters/squared is missing"):
        load(tmp_path / "a.h5")
