"""The file of the main job: potential, grid and results."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io import describe, load, load_grid, load_results, save, save_potential_file
from sci.potentials.grid import PotentialGrid
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import Coulomb, Yukawa
from sci.potentials.range_separated.potential import RangeSeparatedPotential

AXES = (np.linspace(-2, 2, 3), np.linspace(-1, 2, 4), np.linspace(0, 2, 5))


@pytest.fixture(scope="module", params=[Coulomb(), Yukawa(0.3)], ids=["coulomb", "yukawa"])
def potential(request):
    rng = np.random.default_rng(8)
    particles = Particles(rng.uniform(-4, 4, (12, 3)), rng.normal(size=12), names=["A"] * 12)
    return RangeSeparatedPotential(particles, tol=1e-5, kernel=request.param)


def test_a_loaded_potential_gives_the_same_numbers(tmp_path, potential):
    points = np.random.default_rng(9).uniform(-5, 5, (50, 3))
    save(tmp_path / "a.h5", potential)
    found = load(tmp_path / "a.h5")
    np.testing.assert_array_equal(found.forces(), potential.forces())
    np.testing.assert_array_equal(found(points), potential(points))  # by boxes, which forces have made in both
    assert (found.kernel, found.tol, found.domain) == (potential.kernel, potential.tol, potential.domain)
    assert found.particles.names == potential.particles.names


def test_grid_and_results(tmp_path, potential):
    path = tmp_path / "a.h5"
    grid = PotentialGrid.on_axes(potential.on_grid(*AXES), *AXES).in_units("kT/e")
    results = {"energy": 1.5, "forces": np.ones((12, 3)), "note": "Ω", "timings": {"build": 2, "grid": 0.25}}
    save_potential_file(path, potential, grid=grid, results=results, command="sci potential")
    found = load_results(path)
    np.testing.assert_array_equal(found.pop("forces"), results.pop("forces"))
    assert found == results
    assert load_grid(path).values.tobytes() == grid.values.tobytes()
    assert load(path).tol == potential.tol
    assert {"particles/charges", "long_range/core", "VTKHDF/PointData/potential"} <= set(describe(path)["datasets"])


def test_without_grid_and_results(tmp_path, potential):
    save_potential_file(tmp_path / "a.h5", potential)
    assert load_results(tmp_path / "a.h5") == {}
    with pytest.raises(FileFormatError, match=r"a\.h5: the file holds no grid"):
        load_grid(tmp_path / "a.h5")


def test_grid_in_one_box_goes_beside_the_file(tmp_path, potential):
    path = tmp_path / "a.h5"
    grid = PotentialGrid(np.arange(24.0).reshape(2, 3, 4), (0, 0, 0), (1, 1, 1))
    save_potential_file(
        path, potential, grid=grid, grid_shape=(2, 3, 4), local_start=(0, 0, 0), results={"energy": 1.0}
    )
    assert load_grid(path).values.tobytes() == grid.values.tobytes()
    assert load_results(path) == {"energy": 1.0}
    assert load(path).tol == potential.tol


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("alpha", -1.0, "alpha is -1.0"), ("weights", np.ones(1), "weights has shape"), ("cutoff", np.nan, "NaN or Inf")],
)
def test_damaged_split(tmp_path, potential, name, value, message):
    path = tmp_path / "a.h5"
    save(path, potential)
    with h5py.File(path, "r+") as file:
        del file[f"short_range/{name}"]
        file[f"short_range/{name}"] = value
    with pytest.raises(FileFormatError, match=message):
        load(path)


def test_unknown_kernel_and_missing_group(tmp_path, potential):
    path = tmp_path / "a.h5"
    save(path, potential)
    with h5py.File(path, "r+") as file:
        file["short_range"].attrs["kernel"] = np.bytes_("slater")
    with pytest.raises(FileFormatError, match="the kernel is 'slater'"):
        load(path)
    with h5py.File(path, "r+") as file:
        del file["long_range"]
    with pytest.raises(FileFormatError, match="group /long_range is missing"):
        load(path)
