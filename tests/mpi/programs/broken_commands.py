"""Run commands of `sci` that fail: of themselves, on the last rank alone, or where rank 0 writes.

mpirun -n 3 python tests/mpi/programs/broken_commands.py FOLDER
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from command_cases import SMALL
from mpi4py import MPI

from sci.cli import main
from sci.potentials import RangeSeparatedPotential

comm, folder = MPI.COMM_WORLD, Path(sys.argv[1])
small, out = str(folder / "small.pqr"), str(folder / "out.h5")
INPUTS = ("small.pqr", "bad.pqr", "old.h5")
POTENTIAL = ["potential", small, "-o", out, "--grid", "9"]


def no_memory(*_: Any, **__: Any) -> Any:
    raise MemoryError("Unable to allocate 9 TiB")


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def tell(name: str, words: list[str], rank: int | None = None, **broken: Any) -> None:
    """Run a command, on `rank` with functions that fail; rank 0 prints its exit codes and the files that it leaves."""
    if comm.rank == 0:
        Path(out).unlink(missing_ok=True)
    comm.Barrier()
    patches = [mock.patch(target.replace("__", "."), value) for target, value in broken.items()]
    for patch in patches if comm.rank == rank else ():
        patch.start()
    codes = comm.gather(main(words))
    mock.patch.stopall()
    if codes is not None:
        left = sorted(
            p.name for p in folder.iterdir() if p.name not in ("small.pqr", "bad.pqr", "samples.h5", "old.h5")
        )
        print(name, *codes, f"left {left}", flush=True, file=sys.stderr)


if comm.rank == 0:
    (folder / "small.pqr").write_text(SMALL)
    (folder / "bad.pqr").write_text("ATOM nonsense\n")
    (folder / "old.h5").write_text("mine")
tell("usage", ["potential"])
tell("missing", ["potential", str(folder / "none.pqr"), "-o", out])
tell("damaged", ["potential", str(folder / "bad.pqr"), "-o", out])
tell("exists", ["potential", small, "-o", str(folder / "old.h5")])
tell("option", [*POTENTIAL, "--tol", "2"])
last = comm.size - 1
tell("memory", POTENTIAL, last, sci__potentials__RangeSeparatedPotential__on_grid=no_memory)
tell("disk", POTENTIAL, 0, sci__io__grids__vtkhdf__crc32=full)
tell("picture", [*POTENTIAL, "--plot", str(folder / "a.png")], 0, sci__plotting__plot_potential=full)
tell("other", POTENTIAL, 1, sci__cli__commands__potential__box_axes=lambda *_: 1 / 0)
assert RangeSeparatedPotential.on_grid is not no_memory
tell("fine", [*POTENTIAL, "--quiet"])
