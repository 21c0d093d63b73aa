"""Arguments of `sci complete`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output
from sci.cli.values import COUNT, SEED, Number, csv_name, file_name

__all__ = ["add_complete"]

RANK = Number(int, 0, 64, "an integer from 0 to 64")
RESTARTS = Number(int, 1, 64, "an integer from 1 to 64")
LEVEL = Number(float, 0.01, 0.999, "a number from 0.01 to 0.999")

COMPLETE = """Complete scattered, noisy entries, one a line of a table, to a field over all its axes, with standard
deviations and intervals: a sum of products of smooth functions, one an axis, whose smoothness and noise follow from
the entries. The file holds the model, which predicts any place; a name in .vtkhdf also holds mean and deviation for
ParaView, where two or three axes are numeric."""


def add_complete(parser: Any) -> None:
    """Add the arguments of `sci complete`."""
    parser.describe(COMPLETE, "sci complete table.csv -o field.h5 --axes lat lon time --plot f.png")
    parser.add_argument("input", type=file_name, metavar="TABLE", help="CSV with a line of names, or HDF5 with columns")
    add_output(parser, "FIELD.h5", "the model; in .vtkhdf with its field for ParaView")
    parser.add_argument("--axes", nargs="+", required=True, metavar="NAME", help="columns of the places, two to six")
    parser.add_argument("--categories", nargs="+", default=[], metavar="NAME", help="axes that are names, not numbers")
    parser.add_argument("--values", metavar="NAME", help="column of the values (default: the only one left)")
    parser.add_argument("--components", type=RANK, default=8, metavar="R", help="components of all axes (8)")
    parser.add_argument(
        "--smoothness", choices=("0.5", "1.5", "2.5"), default="2.5", help="nu of the Matern functions (2.5)"
    )
    parser.add_argument("--restarts", type=RESTARTS, default=4, metavar="B", help="fits that are averaged (4)")
    parser.add_argument("--maxiter", type=COUNT, default=30, metavar="N", help="most sweeps (30)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="of the starts (0)")
    asked = parser.add_argument_group("predictions")
    asked.add_argument("--at", type=file_name, metavar="PLACES", help="table with the axes as columns: predict there")
    asked.add_argument("--predictions", type=csv_name, metavar="OUT.csv", help="where predictions of --at are written")
    asked.add_argument("--level", type=LEVEL, default=0.9, metavar="P", help="probability of the intervals (0.9)")
    parser.add_argument("--plot", type=file_name, metavar="PNG", help="draw the field; also .pdf or .svg")
    add_common(parser, writes=True, computes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.complete").run(a))
