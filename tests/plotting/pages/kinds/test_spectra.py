"""Charts of spectra show the numbers of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from samples import make_objects

from sci.io import save
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.registry import panels_of


def test_a_spectrum_shows_its_ends_and_its_density(tmp_path: Path) -> None:
    whole = make_objects()["spectrum"]
    save(tmp_path / "s.h5", whole)
    table, density, share = panels_of(Contents(tmp_path / "s.h5"))
    assert isinstance(table, Table)
    assert ("matrix", "M A, M multigrid") in table.rows
    assert ("eigenvalues", "60; 1 zeros are left out") in table.rows
    assert ("condition", "50, at most 2 more") in table.rows
    assert ("log-determinant", "-7.5 +- 0.25") in table.rows
    for chart in (density, share):
        assert isinstance(chart, Chart)
        assert chart.figure.layout.xaxis.type == "log"
    part = np.asarray(share.figure.data[0].y)
    assert (np.diff(part) >= 0).all()
    assert np.isclose(part[-1], 1)
