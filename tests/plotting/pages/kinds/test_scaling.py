"""Charts of power laws show the numbers of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from samples import make_objects

from sci.io import save
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.registry import panels_of
from sci.scaling import fit_power_law


def test_a_law_of_one_term_shows_its_band(tmp_path: Path) -> None:
    x = np.geomspace(1, 1e3, 8)
    save(tmp_path / "law.h5", fit_power_law(x, 1 + x**-0.5, samples=20))
    table, chart = panels_of(Contents(tmp_path / "law.h5"))
    assert isinstance(table, Table)
    assert isinstance(chart, Chart)
    assert ("exponent of x", "0.5, from 0.5 to 0.5") in table.rows
    assert [trace.name for trace in chart.figure.data] == ["runs", "law", "5 %", "95 %"]


def test_a_law_of_two_terms_is_set_beside_its_runs(tmp_path: Path) -> None:
    save(tmp_path / "law.h5", make_objects()["power_law"])
    table, chart = panels_of(Contents(tmp_path / "law.h5"))
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows if row[0].startswith("exponent")] == [
        "exponent of size",
        "exponent of samples",
    ]
    assert isinstance(chart, Chart)
