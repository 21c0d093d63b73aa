"""`sci crystals evaluate DATA`: measures of crystals, beside those of a training."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict
from typing import Any

from sci.cli.common import chosen_namespace
from sci.cli.estimates.needs import goes_on
from sci.cli.estimates.networks.crystals import measuring_bound, measuring_needs
from sci.cli.outcome import computing, tell
from sci.cli.sharing import from_first
from sci.distributed import size
from sci.generative import CrystalReport, Crystals, evaluate_crystals
from sci.generative.crystals.metrics import require_spglib
from sci.io import read_crystals

__all__ = ["run"]


def run(a: argparse.Namespace) -> None:
    """Measure crystals and tell what was found."""
    chosen_namespace(a, on_device=False)
    crystals, training = from_first(a.comm, lambda: _read(a))
    fits = goes_on(
        a,
        lambda: measuring_needs(crystals, training, size(a.comm)),
        bound=measuring_bound(crystals, training),
        disk=0.0,
        outputs=[],
        remedy="measure fewer crystals",
        about={"crystals": len(crystals)},
    )
    if not fits:
        return
    start = time.perf_counter()
    options: dict[str, Any] = {"distance": a.distance, "tolerance": a.tolerance, "symmetry": a.symmetry}
    with computing():
        found = evaluate_crystals(list(crystals), training=training, comm=a.comm, **options)
        beside = None
        if training is not None and a.symmetry is not None:
            beside = evaluate_crystals(list(training), comm=a.comm, **options)
    report = _plain(found)
    if beside is not None:
        report["space_groups_of_training"] = _plain(beside)["space_groups"]
    report["seconds"] = time.perf_counter() - start
    if getattr(a.comm, "rank", 0) == 0:
        tell(a, report, _rows(report))


def _read(a: argparse.Namespace) -> tuple[Crystals, Crystals | None]:
    """Read the crystals, and those of the training."""
    if a.symmetry is not None:
        require_spglib()
    return read_crystals(a.input), read_crystals(a.training) if a.training else None


def _plain(found: CrystalReport) -> dict[str, Any]:
    """Return a report as JSON has it: None for what there is none of."""

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            return {str(k): v for k, v in sorted(value.items())}
        return [plain(v) for v in value] if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in asdict(found).items()}


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""

    def part(name: str) -> str:
        value = report[name]
        return "-" if value is None else f"{value:.1%}"

    rows = [
        ("crystals", str(report["number"])),
        ("valid", part("validity")),
        ("neutral compositions", part("composition_validity")),
        ("unique of the valid", part("uniqueness")),
        *([("new of the valid", part("novelty"))] if report["novelty"] is not None else []),
        ("density", " +- ".join("-" if v is None else f"{v:.3g}" for v in report["density"]) + " g/cm^3"),
    ]
    if report["density_distance"] is not None:
        rows.append(("density, distance", f"{report['density_distance']:.3g} g/cm^3 from the training"))
    for name, label in (("space_groups", "space groups"), ("space_groups_of_training", "those of the training")):
        if report.get(name):
            common = sorted(report[name].items(), key=lambda pair: -pair[1])[:8]
            rows.append((label, ", ".join(f"{number}: {count}" for number, count in common)))
    return [*rows, ("seconds", f"{report['seconds']:.2f}")]
