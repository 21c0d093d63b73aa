"""Go wrong on one rank in the way that the argument names; the others wait for it in a collective.

mpirun -n 3 python tests/mpi/programs/faults.py STARTED exception
mpirun -n 3 python tests/mpi/programs/faults.py STARTED files FOLDER

The file STARTED is made when all ranks have loaded what they need.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import stub_device
from mpi4py import MPI

from sci import distributed
from sci.errors import DeviceMismatchError, FileFormatError, InvalidValueError, SciError, ShapeError
from sci.io import load, save, save_grid_parallel, save_samples
from sci.potentials import Particles, PotentialGrid, RangeSeparatedPotential


def fail(kind: str) -> None:
    """Fail as `kind` says."""
    if kind == "exception":
        raise ZeroDivisionError("one rank fails after the start")
    if kind == "exit":
        sys.exit(3)
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "memory":
        np.ones(2**45)
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def one_rank_fails(comm: MPI.Intracomm, kind: str) -> None:
    d = distributed.slab((8, 4), comm, halo=1)
    exchange = distributed.HaloExchange(d, periodic=True)
    with distributed.abort_on_error(comm):
        exchange.start(np.zeros(d.padded_shape))
        if comm.rank == comm.size - 1:
            fail(kind)
        exchange.finish()
        distributed.allreduce_sum(np.zeros(100_000), comm)
        comm.Barrier()
        time.sleep(60)


def caught(call: Callable[..., object], *args: object) -> Exception:
    """Return what `call` raises."""
    try:
        call(*args)
    except Exception as error:
        return error
    raise AssertionError(f"{call} raised nothing")


def raise_together(comm: MPI.Intracomm, problem: Exception | None) -> None:
    with distributed.agreed(comm):
        if problem is not None:
            raise problem


def one_rank_is_given_nonsense(comm: MPI.Intracomm) -> None:
    """Every rank raises, nobody aborts, and the job goes on."""
    error = caught(distributed.allreduce_sum, np.zeros((4, 5) if comm.rank == 1 else (4, 4)), comm)
    assert isinstance(error, ShapeError)
    assert "array differs between ranks" in str(error)
    assert "shape (4, 5) of float64 on rank 1" in str(error)
    problem = ValueError("charges are not finite") if comm.rank == 1 else None
    error = caught(raise_together, comm, problem)
    assert (error is problem) == (comm.rank == 1)
    assert comm.rank == 1 or (isinstance(error, SciError) and "rank 1: ValueError: charges" in str(error))
    assert distributed.allreduce_sum(1, comm) == comm.size
    if comm.rank == 0:
        print("PASS")


def one_rank_has_bad_input(comm: MPI.Intracomm, folder: Path) -> None:
    """NaN, mixed array modules, too little space, a folder that is read-only, locked and damaged files."""
    last = comm.rank == comm.size - 1
    samples = np.full(3, np.nan if last else 1.0)
    error = caught(lambda: save_samples(folder / "s.h5", samples, np.ones(3), comm=comm))
    assert isinstance(error, InvalidValueError)
    assert "x holds NaN" in str(error)
    ions = Particles(np.eye(3) + 3 * comm.rank, np.ones(3))
    error = caught(lambda: RangeSeparatedPotential(ions, np.nan if last else 1e-3, comm=comm))
    assert isinstance(error, InvalidValueError)
    assert "tol is nan" in str(error), error
    cupy = stub_device.install()
    pieces = [np.zeros(1)] * comm.size
    if last:
        pieces[0] = cupy.asarray(np.zeros(1))
    error = caught(lambda: distributed.alltoall(pieces, comm=comm))
    assert isinstance(error, DeviceMismatchError), error
    grid = PotentialGrid(np.ones((40, 40, 4)), (0.0, 0.0, 4.0 * comm.rank), (1.0, 1.0, 1.0))
    places = {"grid_shape": (40, 40, 4 * comm.size), "local_start": (0, 0, 4 * comm.rank), "comm": comm}
    if not h5py.get_config().mpi:  # MPI-IO may end the job where the space ends
        whole_disk = shutil.disk_usage
        if last:
            shutil.disk_usage = lambda path: SimpleNamespace(free=10)
        error = caught(lambda: save_grid_parallel(folder / "full.h5", grid, **places))
        shutil.disk_usage = whole_disk
        assert isinstance(error, FileFormatError)
        assert "the disk is full: 116.7 kB needed, 0.0 kB free" in str(error), error
        (folder / "closed").mkdir(exist_ok=True)
        comm.Barrier()
        user = os.geteuid()
        if last:
            (folder / "closed").chmod(0o555)
            if user == 0:
                os.seteuid(65534)  # root may write anywhere
        comm.Barrier()
        error = caught(lambda: save_grid_parallel(folder / "closed" / "a.h5", grid, **places))
        os.seteuid(user)
        assert isinstance(error, FileFormatError)
        assert "cannot be written (Permission denied)" in str(error), error
    comm.Barrier()
    assert not list(folder.rglob("*.h5"))
    comm.Barrier()
    files_that_cannot_be_read(comm, folder)
    if comm.rank == 0:
        print("PASS")


def files_that_cannot_be_read(comm: MPI.Intracomm, folder: Path) -> None:
    path = folder / "ions.h5"
    save(path, Particles(np.eye(3), np.ones(3)), comm=comm)

    def read() -> None:
        with distributed.agreed(comm, "load"):
            load(path)

    writer = h5py.File(path, "r+") if comm.rank == 0 else None
    comm.Barrier()
    if comm.rank > 0:
        assert "another process is writing it" in str(caught(load, path))
    comm.Barrier()
    if writer is not None:
        writer.close()
    comm.Barrier()
    read()
    whole = path.read_bytes()
    comm.Barrier()
    if comm.rank == 0:
        path.write_bytes(whole[: len(whole) // 2])
    comm.Barrier()
    error = caught(read)
    assert isinstance(error, FileFormatError)
    assert "damaged" in str(error)


def main() -> None:
    comm = MPI.COMM_WORLD  # the caller's choice; the library's duplicate of it must not trouble MPI_Finalize
    started, kind, *folder = sys.argv[1:]
    comm.Barrier()
    if comm.rank == 0:
        Path(started).touch()
    if kind == "nonsense":
        one_rank_is_given_nonsense(comm)
    elif kind == "files":
        with distributed.abort_on_error(comm):
            one_rank_has_bad_input(comm, Path(*folder))
    else:
        one_rank_fails(comm, kind)


if __name__ == "__main__":
    main()
