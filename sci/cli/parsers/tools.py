"""Arguments of `sci doctor`, `sci dataset` and `sci completion`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sci.cli.common import add_common, add_output

__all__ = ["SHELLS", "add_completion", "add_dataset", "add_doctor"]

SHELLS = ("bash", "zsh", "fish")

DOCTOR = """Report what this machine has, and the fix for each gap: versions, compiler, kernels (one is run for real),
GPU, MPI, HDF5, threads and optional packages."""
DATASET = """Without a name, list the data sets that come with the package. With a name, print the path of that
data set; with -o, copy it: a file, or a folder of scripts."""
COMPLETION = """Print a script that completes subcommands, options and their values in a shell, without starting
Python at a key press. Keep it in ~/.local/share/bash-completion/completions/sci, as _sci in a folder of zsh's $fpath,
or in ~/.config/fish/completions/sci.fish."""


def add_dataset(parser: Any) -> None:
    """Add the arguments of `sci dataset`."""
    parser.describe(DATASET, "sci dataset ubiquitin -o 1ubi.pqr")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a data set of the list")
    add_output(parser, "FILE", "copy it to this file or folder", required=False, hdf5=False)
    add_common(parser, writes=True)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.dataset").run(a))


def add_doctor(parser: Any) -> None:
    """Add the arguments of `sci doctor`."""
    parser.describe(DOCTOR, "sci doctor --json")
    add_common(parser)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.doctor").run(a), diagnoses=True)


def add_completion(parser: Any) -> None:
    """Add the arguments of `sci completion`."""
    parser.describe(COMPLETION, "sci completion bash > ~/.local/share/bash-completion/completions/sci")
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    add_common(parser)
    parser.set_defaults(run=lambda a: import_module("sci.cli.commands.completion").run(a))
