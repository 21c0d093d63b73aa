"""Tables and charts that every kind of file has: its origin, errors, timings, results and datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sci.plotting.pages.charts import bars, histogram, lines, points
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Panel, Table, number, size

__all__ = ["closing_panels", "opening_panels", "result_charts"]


def opening_panels(contents: Contents) -> Iterator[Panel]:
    """Yield the tables on top of a page: what was computed, its errors and its timings."""
    header = contents.header
    rows = [
        ("kind", header["kind"]),
        ("command", header["command"] or "not recorded"),
        ("created", header["created"]),
        ("units", header["units"] or "none recorded"),
        ("written by", f"sci {header['sci_version']}, schema {header['schema_version']}"),
        ("size", size(header["file_bytes"])),
        ("uuid", header["uuid"]),
        ("made from the file with uuid", header["parent_uuid"] or "none recorded"),
    ]
    yield Table("What was computed", rows)
    arguments = {name: value for name, value in header["arguments"].items() if value is not None}
    if arguments:
        yield Table("Options of the command", [(name, number(value)) for name, value in arguments.items()], folded=True)
    errors, timings, others = sorted_results(contents.results)
    if errors:
        yield Table("Errors", errors, ("quantity", "relative", "at worst", "by group of points"))
    if timings:
        yield Table("Seconds", [(name, f"{value:.3g}") for name, value in timings.items()])
    if others:
        yield Table("Results", others)


def result_charts(contents: Contents) -> Iterator[Panel]:
    """Yield charts of the arrays among the results: curves, forces, and the energies of poses."""
    _, timings, _ = sorted_results(contents.results)
    longest = {name: value for name, value in timings.items() if value > 0}
    if len(longest) > 1:
        yield bars("Time of each phase", list(longest), list(longest.values()), "seconds")
    for name, value in _arrays(contents.results):
        units = contents.units(f"results/{name}") or _force_units(name)
        label = f"{name} ({units})" if units else name
        if value.ndim == 1 and len(value) > 1:
            yield lines(f"Result: {name}", (np.arange(len(value)), "index"), {name: value}, label)
        elif value.ndim == 2 and value.shape[1] == 3 and len(value) and "translations" not in name:
            yield histogram(f"Result: {name}", np.linalg.norm(value, axis=1), f"length of {label}", "number")
    yield from _poses(contents.results)


def closing_panels(contents: Contents) -> Iterator[Panel]:
    """Yield the tables at the end of a page: numbers and texts of the file, the settings, and every array."""
    header = contents.header
    parameters = [(name, f"{number(p['value'])} {p['units']}".strip()) for name, p in header["parameters"].items()]
    if parameters:
        yield Table("Numbers and texts of the file", parameters, folded=True)
    settings = [(name, "default" if value is None else str(value)) for name, value in header["options"].items()]
    yield Table("Settings of the library", settings, folded=True)
    datasets = header["datasets"]
    rows = [
        (name, " x ".join(map(str, d["shape"])) or "scalar", d["dtype"], d.get("units", ""), size(d["bytes"]))
        for name, d in datasets.items()
    ]
    yield Table("Arrays", rows, ("name", "shape", "dtype", "units", "size"), folded=len(rows) > 8)


def sorted_results(
    results: Mapping[str, Any],
) -> tuple[list[tuple[str, ...]], dict[str, float], list[tuple[str, str]]]:
    """Return the errors, the seconds, and every other number and text among results."""
    errors: list[tuple[str, ...]] = []
    timings: dict[str, float] = {}
    others: list[tuple[str, str]] = []
    for name, value in _flat(results):
        parts = name.split("/")
        if parts[0] == "measured_error":
            continue
        if parts[0] == "seconds" or parts[-1].endswith("seconds"):
            if isinstance(value, float):
                timings[parts[-1].removesuffix("_seconds")] = value
        elif isinstance(value, float) and "error" in parts[-1]:
            errors.append((_with_units(parts[-1]), f"{value:.3e}", "", ""))
        elif isinstance(value, float | str):
            others.append((_with_units(name), number(value)))
    return _measured(results.get("measured_error")) + errors, timings, others


def _measured(found: Any) -> list[tuple[str, ...]]:
    """Return a row for each quantity whose error was measured."""
    rows: list[tuple[str, ...]] = []
    for quantity, entry in (found if isinstance(found, Mapping) else {}).items():
        if not isinstance(entry, Mapping):
            continue
        groups = entry.get("groups")
        named = groups.items() if isinstance(groups, Mapping) else ()
        shown = ", ".join(f"{group} {_exponent(pair)}" for group, pair in named)
        rows.append((f"{quantity}, measured", _exponent(entry), _exponent(entry, "worst"), shown))
    return rows


def _exponent(entry: Any, name: str = "relative") -> str:
    value = entry.get(name) if isinstance(entry, Mapping) else None
    return f"{value:.3e}" if isinstance(value, float) else ""


def _flat(results: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in results.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value


def _arrays(results: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in _flat(results):
        if isinstance(value, np.ndarray) and not np.iscomplexobj(value) and not name.startswith("poses/"):
            yield name, value


def _with_units(name: str) -> str:
    """Return the name of a result with its units in brackets: `energy_kcal_per_mol` is energy (kcal/mol)."""
    for ending, units in _ENDINGS.items():
        if name.endswith(ending):
            return f"{name.removesuffix(ending)} ({units})".replace("_", " ")
    return name.replace("_", " ")


_ENDINGS = {"_e2_per_angstrom": "e²/Å", "_kcal_per_mol": "kcal/mol"}


def _force_units(name: str) -> str:
    return "e²/Å²" if name.rpartition("/")[2] == "forces" else ""


def _poses(results: Mapping[str, Any]) -> Iterator[Panel]:
    """Yield the energies of rigid poses, where the results have a mapping `poses` of translations and energies."""
    poses = results.get("poses")
    if not isinstance(poses, Mapping) or not {"translations", "energies"} <= set(poses):
        return
    places, energies = np.asarray(poses["translations"]), np.asarray(poses["energies"])
    if places.shape != (len(energies), 3) or not len(energies):
        return
    best = int(energies.argmin())
    yield Table(
        "Poses",
        [
            ("number", number(len(energies))),
            ("lowest energy (e^2/angstrom)", f"{energies[best]:.8g} (pose {best})"),
            ("at (angstrom)", json.dumps([round(float(v), 4) for v in places[best]])),
        ],
    )
    yield points("Energy of each pose at its place", places, energies, "energy (e²/Å)")
    curve = {"energy": np.sort(energies)}
    yield lines("Energies in ascending order", (np.arange(len(energies)), "pose"), curve, "energy (e²/Å)")
