"""`sci join FILE OUT`: one plain file of a file whose grid lies in parts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sci import io
from sci.cli.outcome import add_overwrite, print_json, require_writable

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "join", help="join the parts that ranks wrote", description="Make one file of a file with per-rank parts."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a file whose grid is joined from parts beside it")
    parser.add_argument("out", type=Path, metavar="OUT", help="the new file")
    add_overwrite(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Join the parts."""
    require_writable([arguments.out], [arguments.file], overwrite=arguments.overwrite)
    io.join_parts(arguments.file, arguments.out)
    if arguments.json:
        print_json({"file": str(arguments.file), "out": str(arguments.out)})
