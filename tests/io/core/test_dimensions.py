"""Every axis of every dataset of every kind of file has a name, and every quantity its units."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from kinds import KINDS, part_names
from samples import make_objects

from sci.errors import FileFormatError, ShapeError
from sci.io import Quantity, describe, join_parts, load, load_results, read_array, save, write_array
from sci.io.core.dimensions import attach_scales, axis_names, copy_data, is_bare_axis
from sci.io.core.hdf5 import create
from sci.io.core.header import make_header

OURS = [name for name, kind in KINDS.items() if kind.checked]
NOBODY_KNOWS = {
    *("x", "y", "b", "coefficient", "stress_modes", "residual_norms", "energy_errors", "force_errors"),
    *("centers", "squared", "scores", "nodes", "loss", "amplitudes", "references", "samples"),
    *("places", "u", "energies", "dual_norms", "times", "rms", "maximum_errors"),
}
"""Datasets whose units only the user knows: samples, problems, solutions, moduli, points, losses, eigenvalues, places,
minima, coded fields; or that hold numbers of two units."""
SMOKE = {"density", "pressure", "source", "velocity_0", "velocity_1"}


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def _paths(name: str, folder: Path) -> list[Path]:
    path = folder / f"{name}.h5"
    KINDS[name].write(path)
    return [path, *(path.with_name(part) for part in part_names(path) if name == "spread")]


@pytest.mark.parametrize("name", OURS)
def test_every_axis_has_a_scale(tmp_path: Path, name: str) -> None:
    for path in _paths(name, tmp_path):
        with h5py.File(path) as file:
            for where, dataset in _datasets(file).items():
                if h5py.h5ds.is_scale(dataset.id):
                    assert dataset.ndim == 1, where
                    continue
                for axis, length in enumerate(dataset.shape):
                    (scale,) = dataset.dims[axis].values()
                    assert scale.shape == (length,), where
                    inside = scale.parent == dataset.parent or dataset.name.startswith(f"{scale.parent.name}/")
                    assert inside, f"{where}: {scale.name} is in no group above it"


@pytest.mark.parametrize("name", OURS)
def test_axes_are_named_for_what_they_are(tmp_path: Path, name: str) -> None:
    """Only arrays that the library knows nothing about, parameters and results of users, have names made of lengths."""
    for path in _paths(name, tmp_path):
        for where, about in describe(path)["datasets"].items():
            if about["shape"] and not {"parameters", "optimizer", "results"} & set(where.split("/")):
                assert about.get("dims"), where
                assert len(set(about["dims"])) == len(about["shape"]), where


@pytest.mark.parametrize("name", OURS)
def test_quantities_have_units(tmp_path: Path, name: str) -> None:
    for path in _paths(name, tmp_path):
        for where, about in describe(path)["datasets"].items():
            known = where.split("/")[-1] not in NOBODY_KNOWS | (SMOKE if "smoke" in name else set())
            assert not known or "results" in where or about.get("units"), where


def test_parts_of_objects_have_the_units_of_their_place(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", make_objects()["potential"])
    found = {name: about.get("units") for name, about in describe(tmp_path / "a.h5")["datasets"].items()}
    assert found["long_range/core"] == "e/angstrom"
    assert found["long_range/domain"] == found["particles/positions"] == "angstrom"
    assert found["long_range/factor_0"] == "1"


def test_results_may_have_units_and_axes(tmp_path: Path) -> None:
    forces = np.ones((4, 3))
    results = {"forces": Quantity(forces, "e^2/angstrom^2", ("particle", "xyz")), "seconds": Quantity(2, "s"), "n": 4}
    results |= {"square": np.ones((3, 3)), "length_3": np.zeros(2)}
    save(tmp_path / "a.h5", make_objects()["particles"], results={**results, "more": results})
    found = load_results(tmp_path / "a.h5")
    assert set(found) == {*results, "more"}, "scales are no results"
    np.testing.assert_array_equal(found["forces"], forces)
    assert (found["seconds"], found["more"]["seconds"], found["n"]) == (2.0, 2.0, 4.0)
    about = describe(tmp_path / "a.h5")["datasets"]["results/forces"]
    assert (about["units"], about["dims"]) == ("e^2/angstrom^2", ["particle", "xyz"])
    with pytest.raises(ShapeError, match="one for each axis"):
        save(tmp_path / "b.h5", make_objects()["particles"], results={"a": Quantity(forces, "1", ("particle",))})


def test_a_copy_has_scales_of_its_own(tmp_path: Path) -> None:
    """HDF5 copies references to scales as they are, and they then point nowhere."""
    KINDS["potential_file"].write(tmp_path / "a.h5")
    join_parts(tmp_path / "a.h5", tmp_path / "b.h5")
    first, second = (describe(tmp_path / name)["datasets"] for name in ("a.h5", "b.h5"))
    assert first == second
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["particles/positions"].dims[0][0] == file["particles/particle"]
        assert file["results/forces"].dims[1][0].shape == (3,)
    save(tmp_path / "c.h5", make_objects()["particles"])
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        file["particles/far"] = h5py.ExternalLink("a.h5", "/particles")
    with (
        h5py.File(tmp_path / "c.h5") as file,
        h5py.File(tmp_path / "d.h5", "w") as target,
        pytest.raises(FileFormatError, match="/particles/far is a link"),
    ):
        copy_data(file, target)


def test_places_on_an_axis_are_its_scale(tmp_path: Path) -> None:
    with create(tmp_path / "a.h5", make_header("test", "")) as file:
        write_array(file, "energies", np.ones(3), "eV", ("time",))
        write_array(file, "time", np.arange(3.0), "ps", ("time",))
        write_array(file, "other", np.ones((2, 2)))
        file["plain"] = np.ones((5, 2))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["energies"].dims[0][0] == file["time"]
        assert file["plain"].dims[1][0] == file["other"].dims[0][0] == file["length_2"]
        assert axis_names(file["other"]) == ["length_2", "length_2_again"]
        assert is_bare_axis(file["length_5"])
        assert not any(map(is_bare_axis, (file["time"], file["plain"], file)))
        np.testing.assert_array_equal(read_array(file, "time", (3,)), np.arange(3.0))


def test_a_name_that_something_else_has_is_lengthened(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write_array(file, "x", np.ones((2, 3)), dims=("x", "y"))
        write_array(file, "y", np.ones(2), dims=("x",))
        attach_scales(file)
        assert [file["x"].dims[axis][0].name for axis in (0, 1)] == ["/x_axis", "/y_axis"]
        assert file["y"].dims[0][0].name == "/x_axis"


def test_damage_to_the_lists_of_scales_does_not_reach_a_reader(tmp_path: Path) -> None:
    """HDF5 keeps them in its global heap, without a checksum, and crashes on some damage; readers never look there."""
    save(tmp_path / "a.h5", make_objects()["particles"])
    content = bytearray((tmp_path / "a.h5").read_bytes())
    start = content.find(b"GCOL")
    assert start > 0
    content[start : start + 512] = b"\xff" * 512
    (tmp_path / "a.h5").write_bytes(content)
    assert load(tmp_path / "a.h5").n == 4
    assert describe(tmp_path / "a.h5")["datasets"]["particles/charges"]["dims"] == ["particle"]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_knows_every_axis(tmp_path: Path, engine: str) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip({"netcdf4": "netCDF4"}.get(engine, engine))
    for name in OURS:
        if name in ("spread", "complex_tucker", "tensor_train", "periodic") and engine == "netcdf4":
            continue  # netCDF-4 has neither complex numbers nor virtual datasets of several files
        for path in _paths(name, tmp_path):
            with xarray.open_datatree(path, engine=engine) as tree:
                for group in tree.subtree:
                    assert not [dim for dim in group.dims if str(dim).startswith("phony")], (name, group.path)


def test_xarray_shows_places_and_units(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    grid = make_objects()["grid"]
    save(tmp_path / "a.h5", grid)
    with xarray.open_datatree(tmp_path / "a.h5", engine="h5netcdf") as tree:
        potential = tree["VTKHDF/PointData/potential"]
        assert potential.dims == ("z", "y", "x")
        assert potential.attrs["units"] == "kT/e"
        assert potential.x.attrs["units"] == "angstrom"
        np.testing.assert_allclose(potential.x, grid.origin[0] + grid.spacing[0] * np.arange(grid.shape[0]))
        np.testing.assert_array_equal(potential.transpose("x", "y", "z"), grid.values)
