"""Charts of the predictions of potentials of atoms, and of crystals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from sci.atomistic import Predictions
from sci.generative import Crystals
from sci.plotting.pages.charts import histogram
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of

__all__: list[str] = []

UNITS = {"energy": "eV an atom", "force": "eV/angstrom", "force_relative": "of the forces", "stress": "eV/angstrom^3"}


@figures_of("atomic_predictions")
def _predictions(contents: Contents) -> Iterator[Panel]:
    found: Predictions = contents.object
    ones = found.configurations
    rows = [("configurations", number(len(ones))), ("atoms", number(sum(one.n for one in ones)))]
    rows += [(f"error: {name}", f"{number(value)} {UNITS[name]}") for name, value in found.errors.items()]
    yield Table("Predictions", rows)
    forces = np.concatenate([p.forces for p in found.predictions])
    yield histogram("Forces", np.sqrt((forces**2).sum(axis=1)), "predicted force (eV/angstrom)", "atoms")
    known = [p.forces - np.asarray(one.forces) for one, p in zip(ones, found.predictions) if one.forces is not None]
    if known:
        yield histogram("Errors of forces", np.concatenate(known).ravel(), "component (eV/angstrom)", "components")


@figures_of("crystals")
def _crystals(contents: Contents) -> Iterator[Panel]:
    found: Crystals = contents.object
    counts = Counter(found.formulas)
    yield Table("Crystals", [("crystals", number(len(found))), ("atoms", number(sum(map(len, found.numbers))))])
    rows = [(formula, number(count)) for formula, count in counts.most_common()]
    yield Table("Compositions", rows, ("formula", "crystals"), folded=len(rows) > 12)
    yield histogram("Densities", found.densities, "density (g/cm^3)", "crystals")
    volumes = np.array([abs(np.linalg.det(np.asarray(one.cell))) / one.n for one in found])
    yield histogram("Volumes", volumes, "volume of an atom (angstrom^3)", "crystals")
