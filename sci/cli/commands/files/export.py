"""`sci export FILE --to dx,cube,vtkhdf`: the stored grid or field in formats of other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sci import io
from sci.cli.outcome import require_writable, tell
from sci.cli.sharing import on_first_alone
from sci.errors import FileFormatError
from sci.io.readers.text import require_file
from sci.potentials import Particles, PotentialGrid

__all__ = ["export_paths", "run", "write_exports"]


def export_paths(out: Path, formats: Sequence[str]) -> dict[str, Path]:
    """Return the path of each format: beside `out`, with another suffix."""
    return {name: out.with_suffix(f".{name}") for name in formats}


def write_exports(paths: dict[str, Path], grid: PotentialGrid, particles: Particles | None, temperature: float) -> None:
    """Write the grid in each format; `particles` are the atoms of a cube file."""
    if "dx" in paths:
        io.write_dx(paths["dx"], grid)
    if "cube" in paths and particles is not None:
        io.write_cube(paths["cube"], grid, particles, temperature=temperature)
    if "vtkhdf" in paths:
        io.save(paths["vtkhdf"], grid)


@on_first_alone
def run(arguments: argparse.Namespace) -> None:
    """Export the grid or the field of a file."""
    out = arguments.output or arguments.file
    require_file(out)
    paths = export_paths(out, arguments.to)
    require_writable(list(paths.values()), [arguments.file], overwrite=arguments.overwrite)
    report: dict[str, Any] = {"file": str(arguments.file), "exports": {name: str(path) for name, path in paths.items()}}
    drawn = paths.pop("vtkhdf", None)
    if drawn is not None:
        io.export_vtkhdf(arguments.file, drawn)
    if paths:
        _export_grid(arguments, paths)
    tell(arguments, report, [(path, "") for path in report["exports"].values()])


def _export_grid(arguments: argparse.Namespace, paths: dict[str, Path]) -> None:
    grid, particles = io.load_grid(arguments.file), None
    if "cube" in paths:
        if io.read_header(arguments.file).kind != "potential":
            raise FileFormatError(f"{arguments.file}: the file holds a grid without atoms; a cube file needs both")
        particles = io.load(arguments.file).particles
    if arguments.units:
        grid = grid.in_units(arguments.units, arguments.temperature)
    write_exports(paths, grid, particles, arguments.temperature)
