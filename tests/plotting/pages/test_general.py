"""Errors, timings and results are told apart, and arrays among the results are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sci.io import save
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.general import closing_panels, opening_panels, result_charts, sorted_results
from sci.potentials import Particles, RangeSeparatedPotential

RESULTS = {
    "measured_error": {"potential": {"relative": 1e-6, "worst": 2e-6, "groups": {"near": {"relative": 3e-7}}}},
    "error_estimate": 4e-6,
    "energy_kcal_per_mol": -12.5,
    "seconds": {"build": 0.5, "grid": 1.5},
    "setup_seconds": 0.25,
    "method": "multigrid",
}


def test_results_are_sorted() -> None:
    errors, timings, others = sorted_results(RESULTS)
    assert errors[0] == ("potential, measured", "1.000e-06", "2.000e-06", "near 3.000e-07")
    assert errors[1][:2] == ("error estimate", "4.000e-06")
    assert timings == {"build": 0.5, "grid": 1.5, "setup": 0.25}
    assert others == [("energy (kcal/mol)", "-12.5"), ("method", "multigrid")]


def test_damaged_errors_are_passed_over() -> None:
    assert sorted_results({"measured_error": {"potential": 1.0, "field": {"groups": 2.0}}})[0] == [
        ("field, measured", "", "", "")
    ]


def test_the_measured_errors_of_a_potential_are_read(tmp_path: Path) -> None:
    phi = RangeSeparatedPotential(Particles([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], [1.0, -1.0]), 1e-4)
    error = phi.measured_error("potential")
    save(tmp_path / "a.h5", phi, results={"measured_error": {"potential": error.as_dict()}}, command="c", units="u")
    panels = list(opening_panels(Contents(tmp_path / "a.h5")))
    tables = {panel.title: panel.rows for panel in panels if isinstance(panel, Table)}
    assert ("command", "c") in tables["What was computed"]
    assert ("units", "u") in tables["What was computed"]
    assert tables["Errors"][0][1] == f"{error.relative:.3e}"


def test_arrays_and_poses_are_drawn(tmp_path: Path) -> None:
    energies, places = np.array([1.0, -2.0, 0.5]), np.eye(3)
    results = {
        "losses": np.geomspace(1, 0.1, 5),
        "forces": np.ones((4, 3)),
        "poses": {"translations": places, "energies": energies},
        "seconds": {"a": 1.0, "b": 2.0},
    }
    save(tmp_path / "a.h5", Particles([[0.0, 0.0, 0.0]], [1.0]), results=results)
    panels = list(result_charts(Contents(tmp_path / "a.h5")))
    charts = {panel.title: panel.figure for panel in panels if isinstance(panel, Chart)}
    assert set(charts) == {
        "Time of each phase",
        "Result: losses",
        "Result: forces",
        "Energy of each pose at its place",
        "Energies in ascending order",
    }
    table = next(panel for panel in panels if isinstance(panel, Table))
    assert table.rows[1] == ("lowest energy (e^2/angstrom)", "-2 (pose 1)")
    assert charts["Result: forces"].layout.xaxis.title.text == "length of forces (e²/Å²)"


def test_the_last_tables_name_settings_and_datasets(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    *_, settings, datasets = closing_panels(Contents(tmp_path / "a.h5"))
    assert isinstance(settings, Table)
    assert ("progress", "auto") in settings.rows or "progress" in dict(settings.rows)
    assert isinstance(datasets, Table)
    assert ("particles/positions", "1 x 3", "float64", "angstrom", "24 B") in datasets.rows
