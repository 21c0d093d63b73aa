"""`sci info FILE`: what a file holds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from sci import io
from sci.cli.outcome import print_json, print_table

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> None:
    """Describe the file as a table or as JSON."""
    found = io.describe(arguments.file)
    found["results"] = _plain(io.load_results(arguments.file))
    if found["kind"] == "trajectory":
        found["results"] = _progress(io.trajectory_state(arguments.file))
    if arguments.json:
        print_json({"file": str(arguments.file), **found})
    if arguments.json or arguments.quiet:
        return
    rows = [("file", f"{arguments.file} ({_size(found['file_bytes'])})")]
    rows += [
        (name, str(found[name]))
        for name in ("kind", "units", "command", "created", "sci_version", "schema_version", "uuid", "parent_uuid")
        if found[name]
    ]
    print_table(rows)
    if found.get("results"):
        print("\nresults")
        print_table([(f"  {name}", value) for name, value in _flat(found["results"])])
    print("\ndatasets")
    print_table([(f"  {name}", _dataset(entry)) for name, entry in found["datasets"].items()])


def _progress(state: Any) -> dict[str, Any]:
    """Return the numbers of frames, and the plan of their evaluation."""
    finished = int((state.checksums >= 0).sum())
    plan = {name: float(v) if isinstance(v, int) else v for name, v in state.plan.as_dict().items()}
    return {"frames": float(len(state.checksums)), "finished": float(finished), **plan}


def _plain(results: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the arrays out: they are among the datasets."""
    return {
        name: _plain(value) if isinstance(value, Mapping) else value
        for name, value in results.items()
        if isinstance(value, Mapping | float | str)
    }


def _flat(results: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in results.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield prefix + name, f"{value:.12g}" if isinstance(value, float) else value


def _dataset(entry: Mapping[str, Any]) -> str:
    shape = " x ".join(map(str, entry["shape"])) or "scalar"
    return f"{shape:<18} {entry['dtype']:<8} {_size(entry['bytes']):>9}  {entry.get('units', '')}"


def _size(n_bytes: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000  # type: ignore[assignment]
    return f"{n_bytes:.3g} {unit}"
