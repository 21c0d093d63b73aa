"""Fields as VTKHDF: the specification checked with h5py, and the real reader of VTK where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from samples import make_objects, numbers, same, smoke_frames

from sci.errors import InvalidValueError, ShapeError
from sci.io import (
    Fields,
    Samples,
    export_vtkhdf,
    load,
    load_results,
    save,
    save_potential_file,
    save_samples,
    save_smoke,
)
from sci.io.core.hdf5 import create
from sci.io.core.header import make_header
from sci.io.grids.fields import FieldWriter, read_spacing, write_fields
from sci.potentials import PotentialGrid

OBJECTS = {
    **{
        name: make_objects()[name]
        for name in ("poisson", "solution", "smoke", "composite", "equino", "labels", "flat_labels")
    },
    "samples": Samples(numbers(5, 3, 4), numbers(5, 2, 3, 4), 2, True),
}
GRID = PotentialGrid(numbers(3, 4, 5), (1.0, -2.0, 3.0), (0.5, 0.25, 1.0), "kT/e")


def _check(path: Path) -> dict[str, np.ndarray]:
    """Check a file against the specification of VTKHDF 2, and return its fields as (step, x, y, z[, component])."""
    with h5py.File(path) as file:
        image = file["VTKHDF"]
        major, minor = image.attrs["Version"]
        assert (major, minor) == (2, 0)
        kind = image.attrs.get_id("Type")
        assert not kind.get_type().is_variable_str()
        assert image.attrs["Type"] == b"ImageData"
        extent = image.attrs["WholeExtent"]
        assert extent.shape == (6,)
        assert extent.dtype.kind == "i"
        assert image.attrs["Origin"].shape == image.attrs["Spacing"].shape == (3,)
        assert (image.attrs["Spacing"] > 0).all()
        np.testing.assert_array_equal(image.attrs["Direction"].reshape(3, 3), np.eye(3))
        place = "CellData" if "CellData" in image else "PointData"
        low, high = extent[::2], extent[1::2] + (place == "PointData")
        n_steps = int(image["Steps"].attrs["NSteps"]) if "Steps" in image else None
        found = {}
        for name, dataset in image[place].items():
            shape = tuple(high - low)[::-1]
            if n_steps is not None:
                assert image["Steps/Values"].shape == (n_steps,)
                assert (np.diff(image["Steps/Values"]) > 0).all()
                np.testing.assert_array_equal(image[f"Steps/{place}Offsets/{name}"], np.arange(n_steps))
                shape = (n_steps, *shape)
            assert dataset.shape in (shape, (*shape, 3)), name
            values = dataset[()] if n_steps is not None else dataset[()][None]
            found[name] = values.transpose(0, 3, 2, 1, *range(4, values.ndim))
        return found


def _fields(name: str, path: Path) -> dict[str, np.ndarray]:
    save(path, OBJECTS[name], results={"seconds": 0.5})
    return _check(path)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_file_of_that_suffix_holds_the_object_and_its_fields(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.vtkhdf"
    assert _fields(name, path)
    assert same(load(path), OBJECTS[name])
    assert load_results(path) == {"seconds": 0.5}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_exported_file_is_the_one_that_is_saved(tmp_path: Path, name: str) -> None:
    spacing = (
        None if name in ("poisson", "labels", "flat_labels") else (0.5, 0.25, 2.0)[: 3 if name == "solution" else 2]
    )
    for suffix in ("h5", "vtkhdf"):
        save(tmp_path / f"a.{suffix}", OBJECTS[name], results={"seconds": 0.5}, spacing=spacing)
    export_vtkhdf(tmp_path / "a.h5", tmp_path / "b.vtkhdf")
    assert same(_check(tmp_path / "b.vtkhdf"), _check(tmp_path / "a.vtkhdf"))
    assert same(load(tmp_path / "b.vtkhdf"), OBJECTS[name])
    assert load_results(tmp_path / "b.vtkhdf") == {"seconds": 0.5}
    with h5py.File(tmp_path / "a.vtkhdf") as saved, h5py.File(tmp_path / "b.vtkhdf") as exported:
        for attribute in ("Spacing", "WholeExtent"):
            np.testing.assert_array_equal(saved["VTKHDF"].attrs[attribute], exported["VTKHDF"].attrs[attribute])
    with pytest.raises(InvalidValueError, match="exists"):
        export_vtkhdf(tmp_path / "a.h5", tmp_path / "b.vtkhdf")


def test_what_a_solution_looks_like(tmp_path: Path) -> None:
    save(tmp_path / "a.vtkhdf", OBJECTS["solution"], spacing=(1.0, 0.5, 2.0))
    (x,) = _check(tmp_path / "a.vtkhdf")["x"]
    np.testing.assert_array_equal(x, OBJECTS["solution"].x)
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        assert read_spacing(file) == (1.0, 0.5, 2.0)
        np.testing.assert_array_equal(file["VTKHDF"].attrs["Spacing"], (1.0, 0.5, 2.0))
        np.testing.assert_array_equal(file["VTKHDF/y"], 0.5 * (np.arange(5) + 0.5))
        assert file["VTKHDF/CellData/x"].attrs["Attribute"] == b"Scalars"


def test_what_a_problem_looks_like(tmp_path: Path) -> None:
    found, problem = _fields("poisson", tmp_path / "a.vtkhdf"), OBJECTS["poisson"]
    assert set(found) == {"mask", "neumann_body", "coefficient", "b"}
    np.testing.assert_array_equal(found["mask"][0], problem.A.mask)
    np.testing.assert_array_equal(found["b"][0], problem.b)
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        np.testing.assert_array_equal(file["VTKHDF"].attrs["Spacing"], problem.A.spacing)


def test_what_smoke_looks_like(tmp_path: Path) -> None:
    frames = smoke_frames()
    assert save_smoke(tmp_path / "a.vtkhdf", frames, dtype=np.float64, spacing=(0.5, 0.5)) == 2
    found = _check(tmp_path / "a.vtkhdf")
    for k, frame in enumerate(frames):
        np.testing.assert_array_equal(found["density"][k, :, :, 0], frame.density)
        u, v = frame.velocity
        np.testing.assert_allclose(found["velocity"][k, :, :, 0, 0], (u[1:] + u[:-1]) / 2)
        np.testing.assert_allclose(found["velocity"][k, :, :, 0, 1], (v[:, 1:] + v[:, :-1]) / 2)
        assert (found["velocity"][..., 2] == 0).all()
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        np.testing.assert_array_equal(file["VTKHDF/Steps/Values"], [frame.time for frame in frames])
        assert file["VTKHDF/CellData/velocity"].attrs["Attribute"] == b"Vectors"
    save(tmp_path / "b.vtkhdf", load(tmp_path / "a.vtkhdf"))
    assert same(_check(tmp_path / "b.vtkhdf"), found)


def test_what_predictions_look_like(tmp_path: Path) -> None:
    """A step each sample, and a field each channel."""
    x, y = numbers(5, 3, 4), numbers(5, 2, 3, 4)
    save_samples(tmp_path / "a.vtkhdf", x, y, grid_axes=2)
    found = _check(tmp_path / "a.vtkhdf")
    assert set(found) == {"x", "y_0", "y_1"}
    np.testing.assert_array_equal(found["x"][..., 0], x)
    np.testing.assert_array_equal(found["y_1"][..., 0], y[:, 1])
    with pytest.raises(InvalidValueError, match="give grid_axes="):
        save_samples(tmp_path / "b.vtkhdf", x, y)
    with pytest.raises(InvalidValueError, match="one grid"):
        save_samples(tmp_path / "b.vtkhdf", x, numbers(5, 6, 4), grid_axes=2)
    assert [p.name for p in tmp_path.iterdir()] == ["a.vtkhdf"]


def test_what_a_composite_looks_like(tmp_path: Path) -> None:
    found, model = _fields("equino", tmp_path / "a.vtkhdf"), OBJECTS["equino"]
    np.testing.assert_array_equal(found["phase"][0, :, :, 0], model.composite.phase)
    np.testing.assert_array_equal(found["strain_mode_1_yy"][0, :, :, 0], model.modes["strain"][1, 1])
    assert len(found) == 1 + 3 * sum(len(modes) for modes in model.modes.values())


def test_potentials_are_drawn_by_their_grid(tmp_path: Path) -> None:
    potential = make_objects()["potential"]
    save_potential_file(tmp_path / "a.h5", potential, grid=GRID)
    export_vtkhdf(tmp_path / "a.h5", tmp_path / "a.vtkhdf")
    np.testing.assert_array_equal(_check(tmp_path / "a.vtkhdf")["potential"][0], GRID.values)
    assert same(load(tmp_path / "a.vtkhdf"), potential)
    with pytest.raises(InvalidValueError, match="give grid="):
        save_potential_file(tmp_path / "b.vtkhdf", potential)


@pytest.mark.parametrize("name", ["tucker", "particles", "fno", "trajectory", "lattice"])
def test_what_is_no_field_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match=r"is no field on a grid; expected a PotentialGrid or one of"):
        save(tmp_path / "a.vtkhdf", make_objects()[name])
    save(tmp_path / "a.h5", make_objects()[name])
    with pytest.raises(InvalidValueError, match="is no field"):
        export_vtkhdf(tmp_path / "a.h5", tmp_path / "a.vtkhdf")
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def _written(path: Path, fields: Fields) -> dict[str, np.ndarray]:
    with create(path, make_header("test", ""), overwrite=True) as file:
        write_fields(file, fields)
    return _check(path)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2), (1, 1, 1), (1, 5)])
def test_grids_of_every_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    whole = (*shape, 1, 1)[:3]
    values = numbers(*shape)
    one = {"a": values, "c": values * (1 + 2j), "v": numbers(*shape, 3), "flag": values > 0}
    found = _written(tmp_path / "a.vtkhdf", Fields(shape, [(None, one)], {"a": "V"}))
    assert set(found) == {"a", "c_real", "c_imag", "v", "flag"}
    np.testing.assert_array_equal(found["c_imag"][0], 2 * values.reshape(whole))
    np.testing.assert_array_equal(found["v"][0], one["v"].reshape(*whole, 3))
    steps = [(0.25 * k, {name: array[...] for name, array in one.items()}) for k in range(3)]
    found = _written(tmp_path / "a.vtkhdf", Fields(shape, steps, spacing=(0.5,) * len(shape)))
    np.testing.assert_array_equal(found["a"][2], values.reshape(whole))


def test_fields_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for wrong in (
        Fields((4, 3), [(None, {"a": numbers(3, 4)})]),
        Fields((4, 3), [(None, {"a": numbers(4, 3, 2)})]),
        Fields((2, 2, 2, 2), [(None, {"a": numbers(2, 2, 2, 2)})]),
        Fields((4, 3), [(None, {"a": numbers(4, 3)})], spacing=(1.0,)),
        Fields((4, 3), [(None, {"a": numbers(4, 3)})], origin=(1.0,)),
    ):
        with pytest.raises(ShapeError):
            _written(tmp_path / "a.vtkhdf", wrong)
    with pytest.raises(InvalidValueError, match="spacing is"):
        save(tmp_path / "a.h5", OBJECTS["solution"], spacing=(1.0, 0.0, 1.0))
    with pytest.raises(InvalidValueError, match="has none itself"):
        save(tmp_path / "a.h5", OBJECTS["poisson"], spacing=(1.0, 1.0, 1.0))
    assert list(tmp_path.iterdir()) == []
    assert "4 x 3" in repr(Fields((4, 3), []))


def test_a_writer_shows_how_far_it_is(tmp_path: Path) -> None:
    with create(tmp_path / "a.vtkhdf", make_header("test", "")) as file:
        writer = FieldWriter(file, (4, 3))
        writer.append(0.0, {"a": numbers(4, 3)})
        assert repr(writer) == "FieldWriter(4 x 3 cells, 1 steps)"
        writer.close()


def _read(path: Path, step: int) -> Any:
    vtk = pytest.importorskip("vtkmodules.vtkIOHDF")
    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(path))
    reader.UpdateInformation()
    times = reader.GetOutputInformation(0).Get(
        pytest.importorskip("vtkmodules.vtkCommonExecutionModel").vtkStreamingDemandDrivenPipeline.TIME_STEPS()
    )
    reader.Update() if times is None else reader.UpdateTimeStep(times[step])
    return reader.GetOutput(), times


@pytest.mark.peers
@pytest.mark.parametrize("name", [*OBJECTS, "grid", "flat_grid", "line"])
def test_vtk_reads_every_kind(tmp_path: Path, name: str) -> None:
    support = pytest.importorskip("vtkmodules.util.numpy_support")
    others = {"grid": GRID, "flat_grid": PotentialGrid(numbers(3, 4, 1), (0, 0, 0), (1, 1, 1))}
    others["line"] = PotentialGrid(numbers(1, 4, 1), (0, 0, 0), (1, 1, 1))
    path = tmp_path / "a.vtkhdf"
    save(path, {**OBJECTS, **others}[name])
    with h5py.File(path) as file:
        place = "CellData" if "CellData" in file["VTKHDF"] else "PointData"
        times = file["VTKHDF/Steps/Values"][()].tolist() if "Steps" in file["VTKHDF"] else None
        for step in range(1 if times is None else len(times)):
            image, seen = _read(path, step)
            assert (None if seen is None else list(seen)) == times
            np.testing.assert_allclose(image.GetSpacing(), file["VTKHDF"].attrs["Spacing"])
            data = image.GetCellData() if place == "CellData" else image.GetPointData()
            for field, dataset in file["VTKHDF"][place].items():
                array = support.vtk_to_numpy(data.GetArray(field))
                expected = dataset[()] if times is None else dataset[step]
                np.testing.assert_array_equal(array.ravel(), expected.ravel())


@pytest.mark.peers
def test_pyvista_opens_every_kind(tmp_path: Path) -> None:
    pyvista = pytest.importorskip("pyvista")
    for name, thing in {**OBJECTS, "grid": GRID}.items():
        save(tmp_path / f"{name}.vtkhdf", thing)
        mesh = pyvista.read(tmp_path / f"{name}.vtkhdf")
        assert isinstance(mesh, pyvista.ImageData), name
        assert mesh.array_names, name
