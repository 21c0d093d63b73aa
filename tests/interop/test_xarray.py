"""Datasets of xarray hold the arrays of the files, with their axes and units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray
from kinds import KINDS
from samples import make_objects

from sci.errors import FileFormatError, InvalidValueError
from sci.interop.xarray import open
from sci.io import read_header, save
from sci.potentials import Particles, PotentialGrid, RangeSeparatedPotential
from sci.units import COULOMB


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.checked])
def test_every_kind_of_file_is_a_dataset(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.h5"
    KINDS[name].write(path)
    found = open(path)
    assert isinstance(found, xarray.Dataset)
    assert found.attrs["uuid"] == read_header(path).uuid
    assert len(found.variables) > 0
    assert repr(found.sci) == f"DatasetAccessor({read_header(path).kind!r})"


def test_a_grid_is_chosen_by_place_and_converted(tmp_path: Path) -> None:
    values = np.arange(60.0).reshape(3, 4, 5)
    save(tmp_path / "a.h5", PotentialGrid(values, (1.0, 2.0, 3.0), (0.5, 0.25, 1.0), "V"))
    found = open(tmp_path / "a.h5")
    assert found.potential.dims == ("x", "y", "z")
    assert found.potential.sel(x=1.5, y=2.25, z=7.0).item() == values[1, 1, 4]
    np.testing.assert_allclose(found.potential.sci.to("e/angstrom"), values / COULOMB)
    assert found.potential.sci.to("e/angstrom").units == "e/angstrom"
    plane = found.potential.interp(z=3.5)
    np.testing.assert_allclose(plane, (values[:, :, 0] + values[:, :, 1]) / 2)
    np.testing.assert_array_equal(found.sci.object.values, values)


def test_particles_share_their_axis(tmp_path: Path) -> None:
    particles = Particles([[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]], [1.0, -0.5], names=("N", "CA"))
    save(tmp_path / "a.h5", particles)
    found = open(tmp_path / "a.h5")
    assert found.sizes["particle"] == 2
    assert found.positions.units == "angstrom"
    np.testing.assert_array_equal(found.positions.where(found.charges > 0, drop=True), [[0.0, 0.0, 0.0]])
    assert found["names"].values.tolist() == ["N", "CA"]


def test_frames_are_chosen_by_their_number(tmp_path: Path) -> None:
    trajectory = make_objects()["trajectory"]
    save(tmp_path / "a.h5", trajectory)
    found = open(tmp_path / "a.h5")
    assert found.forces.dims == ("frames", "particle", "xyz")
    np.testing.assert_array_equal(found.forces.sel(frames=4), trajectory.forces[2])


def test_names_that_two_groups_use_are_told_apart(tmp_path: Path) -> None:
    phi = RangeSeparatedPotential(Particles([[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]], [1.0, -0.5]), 1e-3)
    save(tmp_path / "a.h5", phi, results={"tol": 2.0})
    found = open(tmp_path / "a.h5")
    assert {"results_tol", "short_range_tol", "core"} <= set(found.variables)
    assert found["results_tol"].item() == 2.0


def test_units_of_other_quantities_are_refused(tmp_path: Path) -> None:
    array = xarray.DataArray(1.0, attrs={"units": "V"})
    with pytest.raises(InvalidValueError, match="'V', which do not become 'eV'"):
        array.sci.to("eV")
    with pytest.raises(InvalidValueError, match="the array has units ''"):
        xarray.DataArray(1.0).sci.to("V")
    assert repr(array.sci) == "ArrayAccessor(units 'V')"
    with pytest.raises(InvalidValueError, match="names no file"):
        _ = xarray.Dataset().sci.object
    with pytest.raises(FileFormatError):
        open(tmp_path / "none.h5")
