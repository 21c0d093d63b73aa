"""Grids in files: attributes as VTK's specification asks, the order of the axes, compression, damage."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sci.errors import DTypeError, FileFormatError, InvalidValueError, ShapeError
from sci.io import join_parts, load, load_grid, read_slabs, save, save_slabs
from sci.io.core.hdf5 import create
from sci.io.core.header import make_header
from sci.io.grids import vtkhdf
from sci.potentials.grid import PotentialGrid
from sci.units import COULOMB

SHAPE, ORIGIN, SPACING = (4, 5, 6), (1.0, -2.0, 3.0), (0.5, 0.25, 0.125)


def grid_of_places(shape=SHAPE) -> PotentialGrid:
    """A grid whose values tell the place of each point: x + 100 y + 10000 z."""
    axes = [o + h * np.arange(n) for o, h, n in zip(ORIGIN, SPACING, shape)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return PotentialGrid(x + 100 * y + 10000 * z, ORIGIN, SPACING, "V")


@pytest.mark.parametrize("shape", [(4, 5, 1), (1, 5, 6), (4, 1, 6), (4, 1, 1), (1, 1, 6), (1, 1, 1)])
def test_planes_and_lines(tmp_path, shape):
    """VTK takes a flat image only without the axes of one point; files with them, as written before, are read too."""
    grid, path = grid_of_places(shape), tmp_path / "a.h5"
    save(path, grid)
    save_slabs(tmp_path / "b.h5", [grid], shape[2], compression=1)
    join_parts(tmp_path / "b.h5", tmp_path / "c.h5")
    for written in (path, tmp_path / "b.h5", tmp_path / "c.h5"):
        assert load(written).values.tobytes() == grid.values.tobytes()
        (slab,) = read_slabs(written)
        assert slab.values.tobytes() == grid.values.tobytes()
        with h5py.File(written) as file:
            found = file["VTKHDF/PointData/potential"]
            assert found.shape == (tuple(n for n in shape[::-1] if n > 1) or (1,))
            names = [name for name, n in zip("zyx", shape[::-1]) if n > 1] or ["x"]
            assert [found.dims[axis][0].name for axis in range(found.ndim)] == [f"/VTKHDF/{name}" for name in names]
    with h5py.File(path, "r+") as file:
        crc = file["VTKHDF/PointData/potential"].attrs["crc32"]
        del file["VTKHDF/PointData/potential"]
        file["VTKHDF/PointData/potential"] = grid.values.transpose(2, 1, 0)
        file["VTKHDF/PointData/potential"].attrs["crc32"] = crc
    assert load(path).values.tobytes() == grid.values.tobytes()


def test_attributes_as_specified(tmp_path):
    """VTK reads a group /VTKHDF with these attributes; its Type must be ASCII of fixed length."""
    save(tmp_path / "a.vtkhdf", grid_of_places())
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        image = file["VTKHDF"]
        kind = image.attrs.get_id("Type")
        assert not kind.get_type().is_variable_str()
        assert kind.get_type().get_cset() == h5py.h5t.CSET_ASCII
        assert image.attrs["Type"] == b"ImageData"
        assert image.attrs["Version"].tolist() == [2, 0]
        assert image.attrs["WholeExtent"].tolist() == [0, 3, 0, 4, 0, 5]
        assert image.attrs["Origin"].tolist() == list(ORIGIN)
        assert image.attrs["Spacing"].tolist() == list(SPACING)
        assert image.attrs["Direction"].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1]
        assert image["PointData/potential"].attrs["Attribute"] == b"Scalars"


@pytest.mark.parametrize("slab_bytes", [2**24, 300])
def test_x_runs_fastest_in_the_file(tmp_path, monkeypatch, slab_bytes):
    """Follow VTK's rule by hand: point number i + nx (j + ny k) lies at origin + (i, j, k) spacing."""
    monkeypatch.setattr(vtkhdf, "_SLAB_BYTES", slab_bytes)
    grid = grid_of_places((4, 5, 20))
    save(tmp_path / "a.vtkhdf", grid)
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        extent = file["VTKHDF"].attrs["WholeExtent"]
        nx, ny, nz = extent[1::2] - extent[::2] + 1
        flat = file["VTKHDF/PointData/potential"][()].ravel()
        o, h = file["VTKHDF"].attrs["Origin"], file["VTKHDF"].attrs["Spacing"]
    assert flat.shape == (nx * ny * nz,)
    for number, value in enumerate(flat):
        index = np.array([number % nx, number // nx % ny, number // (nx * ny)])
        assert value == pytest.approx((o + index * h) @ [1, 100, 10000], rel=1e-14)
    np.testing.assert_array_equal(load(tmp_path / "a.vtkhdf").values, grid.values)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 3), (70, 3, 9), (9, 65, 17)])
@pytest.mark.parametrize("compression", [None, 1])
def test_shapes_and_compression(tmp_path, shape, compression):
    grid = PotentialGrid(np.random.default_rng(1).normal(size=shape), ORIGIN, SPACING)
    with create(tmp_path / "a.h5", make_header("grid", grid.units)) as file:
        vtkhdf.write_grid(file, grid, compression=compression)
    found = load(tmp_path / "a.h5")
    np.testing.assert_array_equal(found.values, grid.values)
    assert (found.origin, found.spacing, found.units) == (grid.origin, grid.spacing, grid.units)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["VTKHDF/PointData/potential"].compression == ("gzip" if compression else None)


DAMAGE = {
    "no grid": (lambda f: f.__delitem__("VTKHDF"), "holds no grid"),
    "type": (lambda f: f["VTKHDF"].attrs.__setitem__("Type", np.bytes_("PolyData")), "PolyData"),
    "extent": (lambda f: f["VTKHDF"].attrs.__setitem__("WholeExtent", [0, 3, 0, 4, 0, 9]), "not of 10 x 5 x 4"),
    "offset": (lambda f: f["VTKHDF"].attrs.__setitem__("WholeExtent", [1, 3, 0, 4, 0, 5]), "begin at 0"),
    "rotated": (lambda f: f["VTKHDF"].attrs.__setitem__("Direction", np.ones(9)), "rotated"),
    "origin": (lambda f: f["VTKHDF"].attrs.__setitem__("Origin", [1.0, 2.0]), "Origin .* expected 3 numbers"),
    "spacing": (lambda f: f["VTKHDF"].attrs.__setitem__("Spacing", [1.0, 0.0, 1.0]), "three positive"),
    "units": (lambda f: f["VTKHDF"].attrs.__setitem__("units", np.bytes_("furlong")), "furlong"),
    "value": (lambda f: f["VTKHDF/PointData/potential"].__setitem__((0, 0, 0), 7), "fails its checksum"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_grids(tmp_path, case):
    damage, message = DAMAGE[case]
    save(tmp_path / "a.h5", grid_of_places())
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        damage(file)
    with pytest.raises(FileFormatError, match=message):
        load_grid(tmp_path / "a.h5")


def test_grid_arguments():
    values = np.zeros((2, 2, 2))
    for change, error in [
        ({"values": np.zeros((2, 2))}, ShapeError),
        ({"values": values + np.nan}, InvalidValueError),
        ({"values": values.astype(complex)}, DTypeError),
        ({"values": np.zeros((2, 0, 2))}, InvalidValueError),
        ({"origin": (0, 0)}, DTypeError),
        ({"origin": (0, 0, np.inf)}, InvalidValueError),
        ({"spacing": (1, 1, 0)}, InvalidValueError),
        ({"units": "volt"}, InvalidValueError),
    ]:
        with pytest.raises(error):
            PotentialGrid(**{"values": values, "origin": (0, 0, 0), "spacing": (1, 1, 1), **change})


def test_units_of_grids():
    grid = PotentialGrid(np.full((1, 1, 1), 2.0), (0, 0, 0), (1, 1, 1))
    assert grid.in_units("e/angstrom") is grid
    assert grid.in_units("V").values.item() == pytest.approx(2 * COULOMB)
    # 1 e/angstrom is 332.06371 kcal/mol/e in the convention of every force field, and kT at 298.15 K is 0.0256926 eV.
    assert grid.in_units("kcal/mol/e").values.item() == pytest.approx(2 * 332.06371, rel=1e-6)
    assert grid.in_units("kT/e").values.item() == pytest.approx(2 * 14.399645 / 0.025692579, rel=1e-6)
    there_and_back = grid.in_units("kT/e", 310.0).in_units("hartree/e", 310.0).in_units("e/angstrom")
    assert there_and_back.values.item() == pytest.approx(2.0, rel=1e-14)


def test_grid_on_axes():
    grid = PotentialGrid.on_axes(np.zeros((3, 1, 5)), np.linspace(-1, 1, 3), [4.0], np.linspace(0, 1, 5))
    assert (grid.origin, grid.spacing) == ((-1.0, 4.0, 0.0), (1.0, 1.0, 0.25))
    for axis in ([0.0, 1.0, 3.0], [0.0, -1.0, -2.0], [1.0, 1.0, 1.0]):
        with pytest.raises(InvalidValueError, match="axis x is not equally spaced"):
            PotentialGrid.on_axes(np.zeros((3, 1, 1)), axis, [0.0], [0.0])
