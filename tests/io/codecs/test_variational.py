"""Minima and Poisson-Boltzmann potentials in files, and files that are damaged."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from samples import make_objects, same

from sci.errors import FileFormatError
from sci.io import load, save
from sci.solvers import DoubleWell, Energy, PoissonOperator, minimize_energy


@pytest.mark.parametrize("name", ["minimum", "poisson_boltzmann"])
def test_they_come_back(name, tmp_path):
    written = make_objects()[name]
    save(tmp_path / "a.h5", written)
    assert same(load(tmp_path / "a.h5"), written)


def test_a_minimum_in_the_plane_comes_back(tmp_path):
    A = PoissonOperator(np.ones((6, 5), bool), boundary="neumann")
    found = minimize_energy(Energy(A, DoubleWell(1.0), diffusion=1.0), np.full((6, 5), 0.2))
    save(tmp_path / "a.h5", found)
    assert same(load(tmp_path / "a.h5"), found)
    save(tmp_path / "a.vtkhdf", found)
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        np.testing.assert_array_equal(file["VTKHDF/CellData/u"][0], found.u.T)


def _spoiled(tmp_path, name, change):
    save(tmp_path / "a.h5", make_objects()[name], overwrite=True)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file)
    return tmp_path / "a.h5"


def _shorter(dataset):
    def change(file):
        values = file[dataset][...]
        del file[dataset]
        file[dataset] = values[:-1]

    return change


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("minimum", "dual_norms"),
        ("minimum", "lengths"),
        ("poisson_boltzmann", "potential"),
        ("poisson_boltzmann", "origin"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name, dataset, tmp_path):
    with pytest.raises(FileFormatError):
        load(_spoiled(tmp_path, name, _shorter(dataset)))


def test_an_electrolyte_that_is_none_is_refused(tmp_path):
    def change(file):
        about = json.loads(file.attrs["about"])
        about["electrolyte"]["valences"] = [1, 1]
        file.attrs["about"] = json.dumps(about)

    with pytest.raises(FileFormatError):
        load(_spoiled(tmp_path, "poisson_boltzmann", change))
