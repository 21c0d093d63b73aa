"""Arguments of `sci doctor`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common

__all__ = ["add_doctor"]

DOCTOR = """Report what this machine has, and the fix for each gap: versions, compiler, kernels (one is run for real),
GPU, MPI, HDF5, threads and optional packages."""


def add_doctor(parser: Any) -> None:
    """Add the arguments of `sci doctor`."""
    parser.describe(DOCTOR, "sci doctor --json")
    add_common(parser)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.doctor").run(a))
