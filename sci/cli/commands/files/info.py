"""`sci info FILE`: what a file holds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from sci import io
from sci.cli.outcome import print_json, print_table, size_in_words, to_accuracy
from sci.cli.sharing import on_first_alone

__all__ = ["run"]

MANY = 12
"""Datasets of one group beyond which the table has one line for all."""


@on_first_alone
def run(arguments: argparse.Namespace) -> None:
    """Describe the file as a table or as JSON."""
    found = io.describe(arguments.file)
    if arguments.json:
        print_json({"file": str(arguments.file), **found})
    elif not arguments.quiet:
        _print(f"{arguments.file} ({size_in_words(found['file_bytes'])})", found)


def _print(file: str, found: dict[str, Any]) -> None:
    made = f"{found['created']} by sci {found['sci_version']}, schema {found['schema_version']}"
    rows = [("file", file), *((name, found[name]) for name in ("kind", "units", "command") if found[name])]
    print_table([*rows, ("created", made), ("uuid", found["uuid"]), *_from(found["parent_uuid"])])
    accuracy = _accuracy(found["parameters"])
    parameters = found["parameters"].items()
    for title, section in (
        ("arguments of the command", [(name, _text(v)) for name, v in found["arguments"].items() if v is not None]),
        ("parameters", [(name, f"{_text(p['value'])} {_named(p['units'])}") for name, p in parameters]),
        ("results", list(_results(found["results"], accuracy))),
        ("arrays", list(_arrays(found["datasets"]))),
        ("settings of sci.options", [(name, _text(v)) for name, v in found["options"].items() if v not in (None, "")]),
    ):
        if section:
            print(f"\n{title}")
            print_table([(f"  {name}", value) for name, value in section])


def _from(uuid: str) -> list[tuple[str, str]]:
    return [("made from", uuid)] if uuid else []


def _accuracy(parameters: Mapping[str, Any]) -> float:
    """Return the tolerance that the file records, for the digits of its results."""
    tolerances = [p["value"] for name, p in parameters.items() if name.rpartition("/")[2] == "tol"]
    return min((t for t in tolerances if isinstance(t, float) and t > 0), default=1e-10)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _results(results: Mapping[str, Any], accuracy: float, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield a line for each result; a measured error, with its groups of places, is one."""
    for name, value in results.items():
        label = f"{prefix}{name}"
        if isinstance(value, Mapping) and {"relative", "worst"} <= set(value):
            yield label, f"{value['relative']:.1e} relative, {value['worst']:.1e} at worst"
        elif isinstance(value, Mapping):
            yield from _results(value, accuracy, f"{label}/")
        elif "error" in name or prefix.startswith("seconds"):
            yield label, f"{value:.3g}" if isinstance(value, float) else str(value)
        else:
            yield label, to_accuracy(value, accuracy) if isinstance(value, float) else str(value)


def _arrays(datasets: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a line for each array, and one for the arrays of a group that has many."""
    groups: dict[str, list[str]] = {}
    for name in datasets:
        groups.setdefault(name.rpartition("/")[0], []).append(name)
    for group, names in groups.items():
        if len(names) > MANY:
            total = sum(datasets[name]["bytes"] for name in names)
            yield f"{group}/*", f"{len(names)} arrays, {size_in_words(total)}"
            continue
        for name in names:
            entry = datasets[name]
            shape = " x ".join(map(str, entry["shape"]))
            size = size_in_words(entry["bytes"])
            packed = entry.get("compressed_bytes")
            told = "" if packed is None else f", compressed to {size_in_words(packed)}"
            yield name, f"{shape:<18} {entry['dtype']:<10} {size:>8}{told}  {_named(entry.get('units', ''))}"


def _named(units: str) -> str:
    """Return units as people read them: nothing for a number without a dimension."""
    return "" if units == "1" else units
