"""Charts of problems, solutions, samples and smoke show the numbers of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from samples import make_objects, smoke_frames

from sci.io import PoissonProblem, Samples, SmokeRun, save
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.registry import panels_of
from sci.solvers import PoissonOperator, SolveResult


def _panels(path: Path) -> dict[str, Table | Chart]:
    return {panel.title: panel for panel in panels_of(Contents(path))}


def _figure(panel: Table | Chart):
    assert isinstance(panel, Chart)
    return panel.figure


def test_cells_of_a_problem_are_told_apart(tmp_path: Path) -> None:
    mask = np.array([[True, True, False], [True, False, True], [True, True, True]])
    body = np.zeros_like(mask)
    body[0, 2] = True
    save(tmp_path / "a.h5", PoissonProblem(PoissonOperator(mask, 0.5, neumann_body=body), np.arange(9.0).reshape(3, 3)))
    found = _panels(tmp_path / "a.h5")
    cells = _figure(found["Cells"]).data[0]
    np.testing.assert_array_equal(cells.z, np.array([[0, 0, 2], [0, 1, 0], [0, 0, 0]]).T)
    np.testing.assert_array_equal(cells.x, [0, 0.5, 1.0])
    np.testing.assert_array_equal(_figure(found["Right-hand side"]).data[0].z, np.arange(9.0).reshape(3, 3).T)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 4)])
def test_a_solution_shows_its_residuals(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    save(tmp_path / "a.h5", SolveResult(x, 2, np.array([1.0, 1e-2, 1e-5]), True, 0.5))
    found = _panels(tmp_path / "a.h5")
    residual = _figure(found["Residual by iteration"])
    np.testing.assert_array_equal(residual.data[0].y, [1.0, 1e-2, 1e-5])
    assert residual.layout.yaxis.type == "log"
    assert ("Surfaces of the solution" in found) == (len(shape) == 3)
    plane = x if len(shape) == 2 else x[:, :, 0]
    np.testing.assert_array_equal(_figure(found["Solution"]).data[0].z, plane.T.astype("f4"))


def test_a_solution_of_zero(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", SolveResult(np.zeros((4, 4)), 0, np.zeros(1), True, 0.0))
    table = _panels(tmp_path / "a.h5")["Solver"]
    assert isinstance(table, Table)
    assert ("relative residual", "0") in table.rows


def test_samples_on_lines_and_with_channels(tmp_path: Path) -> None:
    x, y = np.arange(40.0).reshape(4, 10), np.arange(80.0).reshape(4, 2, 10)
    save(tmp_path / "a.h5", Samples(x, y, grid_axes=1, periodic=True))
    figure = _figure(_panels(tmp_path / "a.h5")["Sample 1"])
    assert [trace.name for trace in figure.data] == ["input", "output, channel 0", "output, channel 1"]
    np.testing.assert_array_equal(figure.data[2].y, y[1, 1])


def test_samples_in_space_show_their_middle_plane(tmp_path: Path) -> None:
    x = np.arange(2 * 4 * 5 * 6.0).reshape(2, 4, 5, 6)
    save(tmp_path / "a.h5", Samples(x, x, grid_axes=3))
    panel = _panels(tmp_path / "a.h5")["Sample 0: input"]
    np.testing.assert_array_equal(_figure(panel).data[0].z, x[0, :, :, 3].T)
    assert isinstance(panel, Chart)
    assert "the middle plane" in panel.note


def test_smoke_moves_with_time(tmp_path: Path) -> None:
    frames = smoke_frames()
    save(tmp_path / "a.h5", SmokeRun(frames))
    density = _figure(_panels(tmp_path / "a.h5")["Density"])
    for trace, frame in zip(density.data, frames):
        np.testing.assert_array_equal(trace.z, frame.density.T.astype("f4"))
    assert [step.label for step in density.layout.sliders[0].steps] == ["0.125", "0.25"]


def test_no_smoke_needs_no_chart(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", SmokeRun([]))
    assert _panels(tmp_path / "a.h5") == {}


def test_phases_of_a_composite(tmp_path: Path) -> None:
    composite = make_objects()["composite"]
    save(tmp_path / "a.h5", composite)
    found = _panels(tmp_path / "a.h5")
    table = found["Phases"]
    assert isinstance(table, Table)
    assert table.rows[1][1:] == ("Saturating", "bulk 4, limit 2, softness 0.5", "50.00%")
    np.testing.assert_array_equal(_figure(found["Phases of the cell"]).data[0].z, composite.phase.T)
