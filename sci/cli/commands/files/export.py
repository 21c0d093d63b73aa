"""`sci export FILE --to dx,cube`: the stored grid in formats of other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sci import io
from sci.cli.outcome import add_overwrite, print_json, require_writable
from sci.errors import FileFormatError
from sci.potentials import Particles, PotentialGrid
from sci.units import POTENTIAL_UNITS

__all__ = ["add_parser", "export_format", "export_paths", "write_exports"]

FORMATS = ("dx", "cube")


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("export", help="write the grid of a file as OpenDX or Gaussian cube")
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of sci with a grid")
    parser.add_argument("--to", type=export_format, required=True, metavar="dx,cube", help="formats to write")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="name of the output, whose suffix is replaced (default: FILE)"
    )
    parser.add_argument(
        "--units", choices=POTENTIAL_UNITS, help="units of the OpenDX file (default: those of the grid)"
    )
    parser.add_argument(
        "--temperature", type=float, default=298.15, metavar="K", help="temperature for kT/e, kelvin (default: 298.15)"
    )
    add_overwrite(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def export_format(text: str) -> tuple[str, ...]:
    """Return the formats in a list with commas."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(f"unknown format {name!r}; expected {' or '.join(FORMATS)}, or both")
    return names


def export_paths(out: Path, formats: Sequence[str]) -> dict[str, Path]:
    """Return the path of each format: beside `out`, with another suffix."""
    return {name: out.with_suffix(f".{name}") for name in formats}


def write_exports(paths: dict[str, Path], grid: PotentialGrid, particles: Particles | None, temperature: float) -> None:
    """Write the grid in each format; `particles` are the atoms of a cube file."""
    if "dx" in paths:
        io.write_dx(paths["dx"], grid)
    if "cube" in paths and particles is not None:
        io.write_cube(paths["cube"], grid, particles, temperature=temperature)


def run(arguments: argparse.Namespace) -> None:
    """Export the grid of a file."""
    paths = export_paths(arguments.output or arguments.file, arguments.to)
    require_writable(list(paths.values()), [arguments.file], overwrite=arguments.overwrite)
    grid, particles = io.load_grid(arguments.file), None
    if "cube" in paths:
        if io.read_header(arguments.file).kind != "potential":
            raise FileFormatError(f"{arguments.file}: the file holds a grid without atoms; a cube file needs both")
        particles = io.load(arguments.file).particles
    if arguments.units:
        grid = grid.in_units(arguments.units, arguments.temperature)
    write_exports(paths, grid, particles, arguments.temperature)
    if arguments.json:
        print_json({"file": str(arguments.file), "exports": {name: str(path) for name, path in paths.items()}})
    else:
        print(*paths.values(), sep="\n")
