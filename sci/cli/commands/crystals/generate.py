"""`sci crystals generate MODEL.h5 -o OUT`: crystals drawn from a model."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from sci.cli.common import chosen_namespace, load_as, parent_of
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.estimates.networks.crystals import generation_bound, generation_needs
from sci.cli.outcome import Failure, computing, require_writable, say, tell
from sci.cli.sharing import from_first
from sci.distributed import agreed, rank_of, size
from sci.errors import InvalidValueError
from sci.generative import CrystalDiffusion, Crystals, GeneratedCrystals, composition_of, generate_crystals
from sci.generative.crystals.denoiser.generate import occupied_slots, without_coincident
from sci.generative.diffusion.sampling import sampling_steps
from sci.io import save, write_crystals
from sci.io.crystals import require_format

__all__ = ["run"]

OF_ATOM, OF_CRYSTAL = {True: 32, False: 80}, {True: 100, False: 500}
"""Bytes of an atom and of a crystal: in HDF5, and in text."""


def run(a: argparse.Namespace) -> None:
    """Draw crystals and write them."""
    chosen_namespace(a, on_device=False)
    folder = require_format(a.output, a.number, overwrite=a.overwrite)
    require_writable([] if folder else [a.output], [a.model], overwrite=a.overwrite, comm=a.comm)
    model = from_first(a.comm, lambda: load_as(a.model, CrystalDiffusion, "a model of sci crystals train"))
    composition = _composition(a)
    with agreed(a.comm, "the draws"):
        passes = len(sampling_steps(model.schedule, a.steps)) - 1
        occupied_slots(model, 1, composition, a.seed, neutral=a.neutral)
    fits = goes_on(
        a,
        lambda: generation_needs(model, a.number, passes, size(a.comm)),
        bound=generation_bound(model, a.number),
        disk=_disk(a, model, composition),
        outputs=[a.output],
        remedy="draw fewer crystals",
        about={"parameters": model.n_parameters, "draws": a.number},
    )
    if not fits:
        return
    start = time.perf_counter()
    with computing():
        found = generate_crystals(
            *(model, a.number),
            composition=composition,
            neutral=a.neutral,
            steps=a.steps,
            eta=a.eta,
            seed=a.seed,
            comm=a.comm,
        )
    with agreed(a.comm, "the crystals"):
        if rank_of(a.comm) > 0:
            return
        crystals, failures = without_coincident(found)
        _write(a, crystals, found)
    report: dict[str, Any] = {
        "output": str(a.output),
        "draws": a.number,
        "crystals": len(crystals) if crystals else 0,
        "accepted_compositions": found.accepted,
        "failures": {str(k): why for k, why in failures.items()},
        "formulas": list(crystals.formulas) if crystals else [],
        "seconds": time.perf_counter() - start,
    }
    for k, why in list(failures.items())[:3]:
        say("warning", f"draw {k} is no crystal: {why}")
    tell(a, report, _rows(report))


def _composition(a: argparse.Namespace) -> dict[str, int] | None:
    """Return the atoms of a cell; units without a formula are refused."""
    if a.composition is None:
        if a.units != 1:
            raise InvalidValueError("--units goes with --composition; give that, or leave it out")
        return None
    return {symbol: n * a.units for symbol, n in composition_of(a.composition).items()}


def _disk(a: argparse.Namespace, model: CrystalDiffusion, composition: dict[str, int] | None) -> float:
    """Return the bytes of the files; of compositions that are drawn the largest counts."""
    largest = max(sum(n for _, n in one) for one in model.compositions)
    if model.config.compositions == "first":
        largest *= 2  # compositions that the network makes
    atoms, binary = sum(composition.values()) if composition else largest, _is_hdf5(a.output)
    return file_bytes(float(a.number * (OF_ATOM[binary] * atoms + OF_CRYSTAL[binary])), 5)


def _write(a: argparse.Namespace, crystals: Crystals | None, found: GeneratedCrystals) -> None:
    """Write the crystals by the suffix of the output."""
    if crystals is None:
        why = next(iter(found.failures.values()), "atoms in one place")
        raise Failure(f"none of {a.number} draws is a crystal, the first as {why}; train the model longer")
    if _is_hdf5(a.output):
        save(a.output, crystals, command=a.command, parent_uuid=parent_of(a.model), overwrite=a.overwrite)
    else:
        write_crystals(a.output, crystals, overwrite=a.overwrite)


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in (".h5", ".hdf5")


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    formulas = sorted({name: report["formulas"].count(name) for name in report["formulas"]}.items())
    shown = ", ".join(f"{name} {n}" for name, n in formulas[:12]) + (" ..." if len(formulas) > 12 else "")
    return [
        ("crystals", f"{report['crystals']} of {report['draws']} draws"),
        *(
            [("compositions kept", f"{report['accepted_compositions']:.1%}")]
            if report["accepted_compositions"] < 1
            else []
        ),
        ("formulas", shown),
        ("seconds", f"{report['seconds']:.2f}"),
        (report["output"], ""),
    ]
