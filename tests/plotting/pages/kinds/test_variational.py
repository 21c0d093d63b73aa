"""Charts of minima and of Poisson-Boltzmann potentials show the numbers of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from samples import make_objects

from sci.io import save
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.registry import panels_of


def test_a_minimum_shows_its_course(tmp_path: Path) -> None:
    found = make_objects()["minimum"]
    save(tmp_path / "m.h5", found)
    table, norms, energies, *_ = panels_of(Contents(tmp_path / "m.h5"))
    assert isinstance(table, Table)
    assert ("method", "newton") in table.rows
    assert ("steps", "2") in table.rows
    assert isinstance(norms, Chart)
    assert norms.figure.layout.yaxis.type == "log"
    np.testing.assert_allclose(norms.figure.data[0].y, found.dual_norms)
    np.testing.assert_allclose(energies.figure.data[0].y, np.maximum(found.energies[:-1] - found.energies[-1], 1e-300))


def test_a_potential_in_salt_shows_its_energy_and_its_ions(tmp_path: Path) -> None:
    found = make_objects()["poisson_boltzmann"]
    save(tmp_path / "pb.h5", found)
    panels = list(panels_of(Contents(tmp_path / "pb.h5")))
    rows = dict(panels[0].rows)
    assert rows["solvation energy"] == "-2.5 +- 0.12 e^2/angstrom"
    assert rows["ionic strength"] == "0.25 mol/L of valences +2 and -1"
    assert rows["cells"] == "4 x 3 x 5 of 0.5 angstrom"
    assert [panel.title for panel in panels][-2:] == ["Potential, cut at 5 kT/e", "Part of the cells that ions enter"]
