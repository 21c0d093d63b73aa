"""Arguments of the subcommands on files of sci: `sci info`, `sci report`, `sci export` and `sci join`."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import POSITIVE, file_name
from sci.units import POTENTIAL_UNITS

__all__ = ["EXPORT_FORMATS", "add_export", "add_info", "add_join", "add_report", "export_format"]

EXPORT_FORMATS = ("dx", "cube", "vtkhdf")

INFO = """Print what a file of sci holds: the command that wrote it, its options, its results with their errors, and
the shape and units of each dataset. Large arrays are not read. `sci.io.describe` returns the same in Python."""
REPORT = """Write one HTML file that shows what a file of sci holds: the command and settings, errors, timings, units,
origin, and charts of its contents. A browser shows it without a network, and nothing needs a display here; needs the
extra `report`."""
EXPORT = """Write the grid of a file in formats of other programs: OpenDX (APBS, PyMOL, VMD, ChimeraX), Gaussian cube,
and VTKHDF (ParaView, PyVista), which also takes solutions, samples, smoke and composites."""
JOIN = """Make one plain file of a file whose grid lies in per-rank parts beside it, so that programs which do not look
for the parts read it whole."""


def add_info(parser: Any) -> None:
    """Add the arguments of `sci info`."""
    parser.describe(INFO, "sci info protein.h5")
    parser.add_argument("file", type=file_name, metavar="FILE", help="an HDF5 file written by sci")
    add_common(parser)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.files.info").run(a))


def add_report(parser: Any) -> None:
    """Add the arguments of `sci report`."""
    parser.describe(REPORT, "sci report protein.h5 -o protein.html")
    parser.add_argument("file", type=file_name, metavar="FILE", help="an HDF5 file written by sci")
    add_output(parser, "PAGE.html", "the page (default: FILE with the suffix .html)", required=False, hdf5=False)
    parser.add_argument(
        "--truth", type=file_name, metavar="FILE", help="for predictions: samples with the true outputs, to show errors"
    )
    add_common(parser, writes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.files.report").run(a))


def add_export(parser: Any) -> None:
    """Add the arguments of `sci export`."""
    parser.describe(EXPORT, "sci export protein.h5 --to dx,cube --units kT/e")
    parser.add_argument("file", type=file_name, metavar="FILE", help="a file of sci with a grid or a field")
    parser.add_argument("--to", type=export_format, required=True, metavar="dx,cube,vtkhdf", help="formats to write")
    add_output(
        parser, "OUT", "name of the output, whose suffix is replaced (default: FILE)", required=False, hdf5=False
    )
    parser.add_argument(
        "--units", choices=POTENTIAL_UNITS, help="units of the OpenDX file (default: those of the grid)"
    )
    parser.add_argument(
        "--temperature",
        type=POSITIVE,
        default=298.15,
        metavar="K",
        help="temperature for kT/e, kelvin (default: 298.15)",
    )
    add_common(parser, writes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.files.export").run(a))


def export_format(text: str) -> tuple[str, ...]:
    """Return the formats in a list with commas."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in EXPORT_FORMATS:
            raise argparse.ArgumentTypeError(
                f"unknown format {name!r}; expected {', '.join(EXPORT_FORMATS)}, or several with commas"
            )
    return names


def add_join(parser: Any) -> None:
    """Add the arguments of `sci join`."""
    parser.describe(JOIN, "sci join spread.h5 -o whole.h5")
    parser.add_argument("file", type=file_name, metavar="FILE", help="a file whose grid is joined from parts beside it")
    add_output(parser, "OUT.h5", "the new file")
    add_common(parser, writes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.files.join").run(a))
