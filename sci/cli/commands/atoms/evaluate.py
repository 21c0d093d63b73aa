"""`sci atoms evaluate MODEL.h5 DATA.extxyz -o OUT.h5`: energies, forces and stresses of configurations."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from sci.atomistic import (
    AtomisticPotential,
    Configuration,
    Prediction,
    Predictions,
    predict_configurations,
    predict_on_ranks,
)
from sci.cli.commands.atoms.train import configurations_of, labelled, require_charges
from sci.cli.common import chosen_namespace, load_as, parent_of
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.estimates.networks.atoms import evaluation_bound, evaluation_needs
from sci.cli.outcome import computing, require_writable, tell
from sci.cli.sharing import from_first
from sci.distributed import agreed, allgather_rows, rank_of, size, split
from sci.io import save

__all__ = ["run"]

OF_ATOM, OF_CONFIGURATION = 11, 32
"""Numbers of an atom and of a configuration in the file."""


def run(a: argparse.Namespace) -> None:
    """Evaluate a potential and write what it gives."""
    chosen_namespace(a, on_device=False)
    require_writable([a.output], [a.input, a.model], overwrite=a.overwrite, comm=a.comm)
    potential, configurations = from_first(a.comm, lambda: _read(a))
    atoms = sum(one.n for one in configurations)
    fits = goes_on(
        a,
        lambda: evaluation_needs(potential, configurations, size(a.comm)),
        bound=evaluation_bound(potential, configurations),
        disk=file_bytes(8.0 * (OF_ATOM * atoms + OF_CONFIGURATION * len(configurations)), 13),
        outputs=[a.output],
        remedy="evaluate fewer configurations, or share them over ranks",
        about={"configurations": len(configurations), "atoms": atoms},
    )
    if not fits:
        return
    start = time.perf_counter()
    with computing():
        found = _predictions(a, potential, configurations)
    with agreed(a.comm, "the predictions"):
        if rank_of(a.comm) > 0:
            return
        save(a.output, found, command=a.command, parent_uuid=parent_of(a.model))
    errors = found.errors
    report: dict[str, Any] = {"output": str(a.output), "configurations": len(configurations), "atoms": atoms, **errors}
    report["energies"] = [one.energy for one in found.predictions]
    report["seconds"] = time.perf_counter() - start
    rows = [("configurations", f"{len(configurations)}, {atoms} atoms")]
    rows += [("errors", labelled(errors))] if errors else []
    if len(configurations) == 1:
        rows.append(("energy", f"{found.predictions[0].energy:.10g} eV"))
    tell(a, report, [*rows, ("seconds", f"{report['seconds']:.2f}"), (report["output"], "")])


def _predictions(
    a: argparse.Namespace, potential: AtomisticPotential, configurations: list[Configuration]
) -> Predictions:
    """Return the predictions; of fewer configurations than ranks, the atoms of each are shared."""
    if len(configurations) >= size(a.comm):
        return predict_configurations(potential, configurations, comm=a.comm)
    found = []
    for one in configurations:
        own = split(one.n, a.comm)
        charges = None if one.charges is None else np.asarray(one.charges)[own]
        places = np.asarray(one.positions)[own]
        options: dict[str, Any] = {"cell": one.cell, "periodic": one.periodic, "charges": charges, "comm": a.comm}
        part = predict_on_ranks(potential, one.species[own], places, **options)
        found.append(Prediction(part.energy, allgather_rows(part.forces, a.comm), part.stress))
    return Predictions(configurations, found)


def _read(a: argparse.Namespace) -> tuple[AtomisticPotential, list[Configuration]]:
    """Read the potential and the configurations; species that it does not know are refused."""
    potential = load_as(a.model, AtomisticPotential, "a potential of sci atoms train")
    configurations = configurations_of(a, a.input)
    for which, one in enumerate(configurations):
        potential.numbers(one, which)
    if potential.config.charges == "given":
        require_charges(a.input, configurations)
    return potential, configurations
