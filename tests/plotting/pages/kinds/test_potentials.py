"""Charts of particles, potentials and trajectories show the numbers of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.io import save, save_potential_file
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.registry import panels_of
from sci.potentials import (
    LatticePotential,
    Particles,
    PeriodicPotential,
    PotentialGrid,
    RangeSeparatedPotential,
    Trajectory,
    Vacancy,
)

IONS = Particles([[0.0, 0.0, 0.0], [2.0, 1.0, 0.5], [0.5, 2.0, 1.0]], [1.0, -1.0, 0.5])


def _panels(path: Path) -> dict[str, Table | Chart]:
    return {panel.title: panel for panel in panels_of(Contents(path))}


def test_the_grid_of_a_potential_is_drawn_in_its_units(tmp_path: Path) -> None:
    values = np.linspace(-1.0, 1.0, 10 * 8 * 6).reshape(10, 8, 6)
    grid = PotentialGrid(values, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "kT/e")
    save_potential_file(tmp_path / "a.h5", RangeSeparatedPotential(IONS, 1e-4), grid=grid)
    found = _panels(tmp_path / "a.h5")
    planes = found["Potential: planes"]
    assert isinstance(planes, Chart)
    assert planes.figure.layout.coloraxis.colorbar.title.text == "potential (kT/e)"
    np.testing.assert_array_equal(planes.figure.data[2].z, values[:, :, 2].T.astype("f4"))
    surfaces = found["Potential: surfaces"]
    assert isinstance(surfaces, Chart)
    assert len(surfaces.figure.data[1].x) == IONS.n


def test_a_potential_without_a_grid_is_evaluated(tmp_path: Path) -> None:
    phi = RangeSeparatedPotential(IONS, 1e-4)
    save(tmp_path / "a.h5", phi)
    planes = _panels(tmp_path / "a.h5")["Potential: planes"]
    assert isinstance(planes, Chart)
    assert "The file holds no grid" in planes.note
    plane = planes.figure.data[0]
    z = np.array([phi.domain[2][0]])
    expected = phi.on_grid(np.asarray(plane.x, float), np.asarray(plane.y, float), z)[:, :, 0]
    np.testing.assert_allclose(plane.z, expected.T, rtol=2e-4, atol=2e-5)


def test_a_periodic_potential_is_drawn_in_fractions_of_its_cell(tmp_path: Path) -> None:
    cell = np.array([[4.0, 0.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.5, 5.0]])
    phi = PeriodicPotential(Particles([[0.3, 0.2, 0.1], [2.0, 2.0, 2.0]], [1.0, -1.0], cell=cell), 1e-4)
    save(tmp_path / "a.h5", phi)
    planes = _panels(tmp_path / "a.h5")["Planes across the cell"]
    assert isinstance(planes, Chart)
    plane = planes.figure.data[0]
    points = np.stack(np.meshgrid(plane.x, plane.y, [0.0], indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    np.testing.assert_allclose(plane.z.T.ravel(), phi(points), rtol=1e-4, atol=1e-5)


def test_a_crystal_is_drawn_around_its_vacancy(tmp_path: Path) -> None:
    salt = Particles([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], [1.0, -1.0], cell=np.diag([2.0, 2.0, 2.0]))
    save(tmp_path / "a.h5", LatticePotential(salt, (5, 5, 5), defects=[Vacancy(0, (2, 2, 2))], tol=1e-4))
    found = _panels(tmp_path / "a.h5")
    planes = found["Potential around the middle: planes"]
    assert isinstance(planes, Chart)
    assert float(planes.figure.data[0].x.mean()) == pytest.approx(4.0)
    table = found["Defects"]
    assert isinstance(table, Table)
    assert table.rows[0][0] == "Vacancy"


def test_frames_that_are_finished_are_drawn(tmp_path: Path) -> None:
    forces = np.arange(36.0).reshape(3, 4, 3)
    save(tmp_path / "a.h5", Trajectory(np.array([0, 2, 4]), np.array([1.0, 2, 4]), forces, 3))
    found = _panels(tmp_path / "a.h5")
    energy, force = found["Energy by frame"], found["Forces by frame"]
    assert isinstance(energy, Chart)
    assert isinstance(force, Chart)
    np.testing.assert_array_equal(energy.figure.data[0].x, [0, 2, 4])
    np.testing.assert_array_equal(energy.figure.data[0].y, [1, 2, 4])
    np.testing.assert_allclose(force.figure.data[0].y, np.linalg.norm(forces, axis=2).max(axis=1))


def test_the_measured_errors_of_frames_are_drawn(tmp_path: Path) -> None:
    errors = np.array([[[1e-6, 2e-6], [3e-6, 4e-6]], [[5e-6, 6e-6], [7e-6, 8e-6]]])
    save(tmp_path / "a.h5", Trajectory(np.arange(2), np.array([1.0, 2.0]), np.ones((2, 4, 3)), 2, errors))
    found = _panels(tmp_path / "a.h5")
    chart, table = found["Measured error by frame"], found["Trajectory"]
    assert isinstance(chart, Chart)
    curves = {trace.name: list(trace.y) for trace in chart.figure.data}
    assert curves["forces"] == [3e-6, 7e-6]
    assert curves["energy, at worst"] == [2e-6, 6e-6]
    assert isinstance(table, Table)
    assert ("error of the forces, measured", "7.00e-06, 8.00e-06 at worst") in table.rows


def test_no_frame_and_no_particle_need_no_chart(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", Trajectory(np.arange(0), np.zeros(0), np.zeros((0, 4, 3)), 0))
    assert list(_panels(tmp_path / "a.h5")) == ["Trajectory"]
