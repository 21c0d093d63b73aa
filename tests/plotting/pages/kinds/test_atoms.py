"""Pages of predictions of atoms: errors of what is known, and forces."""

from __future__ import annotations

from pathlib import Path

from atom_cases import crystal, molecule, potential

from sci.atomistic import Configuration, predict_configurations
from sci.io import save
from sci.plotting import Contents
from sci.plotting.pages.registry import panels_of


def test_errors_are_told_where_labels_are(tmp_path: Path) -> None:
    known = Configuration(
        crystal().species, crystal().positions, crystal().cell, energy=1.0, forces=crystal().positions
    )
    for name, configurations, count in (("known", [known, molecule()], 3), ("bare", [molecule()], 2)):
        save(tmp_path / f"{name}.h5", predict_configurations(potential(), configurations))
        panels = list(panels_of(Contents(tmp_path / f"{name}.h5")))
        assert len(panels) == count
        rows = dict(panels[0].rows)
        assert ("error: force" in rows) == (name == "known")
