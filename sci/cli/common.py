"""Options that many commands have, with one meaning each, and what they set before a command runs."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sci.cli.values import THREADS, file_name, hdf5_name
from sci.errors import DeviceUnavailableError, InvalidValueError, with_article
from sci.options import options, recorded
from sci.tasks import cores_of_task, launched_tasks

__all__ = [
    "COMMON",
    "add_checkpoints",
    "add_common",
    "add_output",
    "chosen_namespace",
    "load_as",
    "parent_of",
    "saver_of",
    "settings_of",
    "write_trained",
]

T = TypeVar("T")

COMMON = ("device", "threads", "dry-run", "overwrite", "quiet", "json")
"""Names of the options that `add_common` adds, beside `config`."""

BLAS_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that BLAS libraries and kernels read once, when NumPy is imported."""


def add_output(
    parser: Any, metavar: str, help: str = "the file to write", *, required: bool = True, hdf5: bool = True
) -> None:
    """Add the option -o, --output; for an HDF5 file, a suffix that promises another format is refused."""
    kind = hdf5_name if hdf5 else file_name
    parser.add_argument("-o", "--output", type=kind, required=required, metavar=metavar, help=help)


def add_checkpoints(training: Any) -> None:
    """Add the options --checkpoint and --resume to the options of a training."""
    training.add_argument("--checkpoint", type=hdf5_name, metavar="FILE.h5", help="written after every epoch")
    training.add_argument(
        "--resume", type=file_name, metavar="FILE.h5", help="go on from a checkpoint of this training"
    )


def add_common(parser: argparse.ArgumentParser, *, writes: bool = False, computes: bool = False) -> None:
    """Add the common options to a command, after its own.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    writes : bool
        The command writes files: add --overwrite.
    computes : bool
        The command computes: add --device, --threads and --dry-run.
    """
    group = parser.add_argument_group("common options")
    if computes:
        group.add_argument(
            "--device", choices=("cpu", "cuda", "auto"), default="cpu", help="device to compute on (default: cpu)"
        )
        group.add_argument(
            "--threads",
            type=THREADS,
            metavar="N",
            help="threads of kernels and of BLAS (default: OMP_NUM_THREADS, or all cores)",
        )
        group.add_argument(
            "--dry-run", action="store_true", help="check the input, tell time, memory and disk, and write nothing"
        )
    if writes:
        group.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    group.add_argument("--quiet", action="store_true", help="print only warnings and errors")
    group.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    group.add_argument(
        "--config", type=file_name, metavar="FILE.toml", help="read options from a file; those on the command line win"
    )


@contextlib.contextmanager
def settings_of(arguments: argparse.Namespace) -> Iterator[None]:
    """Put --threads and --quiet in force inside a `with` block, and let files that are written tell all arguments.

    The number of threads reaches BLAS only if NumPy is not imported yet, as in the command's own process. Tasks of a
    launcher that share cores divide them, unless told otherwise.
    """
    threads = getattr(arguments, "threads", None)
    if launched_tasks() is not None and not any(os.environ.get(name) for name in BLAS_THREADS):
        threads = threads or cores_of_task()  # BLAS of its own would take all cores in every task
    if threads is not None and "numpy" not in sys.modules:
        os.environ.update(dict.fromkeys(BLAS_THREADS, str(threads)))
    found: dict[str, Any] = {} if threads is None else {"threads": threads}
    if getattr(arguments, "quiet", False):
        found["progress"] = "off"
    with options(**found), recorded(_plain(arguments)):
        yield


UNRECORDED = ("run", "command", "config", "configured", "quiet", "json", "overwrite", "dry_run")
"""Arguments that say nothing about what was computed, or stand elsewhere."""


def _plain(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of a command as JSON has them, by the names of their options."""

    def plain(value: Any) -> Any:
        return [plain(v) for v in value] if isinstance(value, list | tuple) else _scalar(value)

    found = {name: plain(value) for name, value in vars(arguments).items() if name not in UNRECORDED}
    return {name.replace("_", "-"): value for name, value in found.items()}


def _scalar(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def chosen_namespace(arguments: argparse.Namespace, *, on_device: bool = True) -> Any:
    """Return NumPy, or CuPy if --device asks for it; "auto" takes a GPU where there is one.

    Parameters
    ----------
    arguments : argparse.Namespace
        With `device`.
    on_device : bool
        False for a command that computes on the CPU alone.

    Raises
    ------
    DeviceUnavailableError
        For --device cuda without CuPy, driver or GPU.
    InvalidValueError
        For --device cuda where the command computes on the CPU alone.
    """
    from sci.backend import namespace_of

    if not on_device:
        if arguments.device == "cuda":
            raise InvalidValueError("--device cuda: this command computes on the CPU; leave --device out")
        return namespace_of("cpu")
    try:
        return namespace_of("cuda" if arguments.device == "auto" else arguments.device)
    except DeviceUnavailableError:
        if arguments.device != "auto":
            raise
        return namespace_of("cpu")


def load_as(path: Path, kind: type[T], what: str) -> T:
    """Load the object of a file, and refuse all but one class.

    Parameters
    ----------
    path : Path
    kind : type
    what : str
        What was expected, for the error: "a model of sci operator".

    Raises
    ------
    FileFormatError
        As `sci.io.load`, and for a file that holds something else.
    """
    from sci.errors import FileFormatError
    from sci.io import load

    found = load(path)
    if not isinstance(found, kind):
        raise FileFormatError(f"{path}: holds {with_article(type(found).__name__)}; expected {what}")
    return found


def saver_of(arguments: argparse.Namespace) -> Callable[[Any], None] | None:
    """Return the function that writes the checkpoints of a training to --checkpoint; None without it."""
    from sci.io import save

    a = arguments
    return (lambda checkpoint: save(a.checkpoint, checkpoint, command=a.command, comm=a.comm)) if a.checkpoint else None


def write_trained(arguments: argparse.Namespace, trained: Any, history: Any) -> bool:
    """Write a trained model, and the picture of its training for --plot, on the first rank; return whether this is it.

    Collective.
    """
    from sci.distributed import agreed, rank_of
    from sci.io import save

    a = arguments
    with agreed(a.comm, "the model"):
        if rank_of(a.comm) > 0:
            return False
        save(a.output, trained, command=a.command, parent_uuid=parent_of(a.input))
        if getattr(a, "plot", None):
            from sci.plotting import plot_training

            plot_training(history, a.plot)
    return True


def parent_of(path: Path) -> str | None:
    """Return the uuid of an input, for the files made from it; None for a file that is not ours."""
    from sci.errors import FileFormatError
    from sci.io import read_header

    try:
        return read_header(path).uuid
    except FileFormatError:
        return None
