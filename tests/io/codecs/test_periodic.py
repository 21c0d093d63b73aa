"""Periodic and lattice potentials in files: the same numbers again, and defects that are damaged."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from samples import make_objects

from sci.errors import FileFormatError
from sci.io import load, save
from sci.potentials import Particles, PeriodicPotential

POINTS = np.random.default_rng(3).uniform(0, 4, (20, 3))


def test_a_loaded_periodic_potential_gives_the_same_numbers(tmp_path):
    phi = PeriodicPotential(Particles([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]], [1.0, -1.0], cell=4 * np.eye(3)), 1e-5)
    save(tmp_path / "a.h5", phi)
    found = load(tmp_path / "a.h5")
    np.testing.assert_array_equal(found(POINTS), phi(POINTS))
    assert found.energy() == phi.energy()


def test_a_loaded_lattice_gives_the_same_numbers(tmp_path):
    phi = make_objects()["lattice"]
    save(tmp_path / "a.h5", phi)
    np.testing.assert_array_equal(load(tmp_path / "a.h5")(POINTS + 0.3), phi(POINTS + 0.3))


@pytest.mark.parametrize("entry", ['["hole", 1]', '["vacancy", 1]', "3", '["interstitial", 1, 2, 3]'])
def test_damaged_defects(tmp_path, entry):
    save(tmp_path / "a.h5", make_objects()["lattice"])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["lattice"].attrs["defects"] = np.bytes_(f"[{entry}]")
    with pytest.raises(FileFormatError, match=r"the defect .* is unknown"):
        load(tmp_path / "a.h5")
