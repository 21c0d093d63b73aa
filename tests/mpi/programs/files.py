"""Write grids that are spread over ranks, as parts or collectively, and read them back.

mpirun -n 3 python tests/mpi/programs/files.py FOLDER
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci import distributed
from sci.distributed import abort_on_error
from sci.errors import FileFormatError, InvalidValueError
from sci.io import join_parts, load, load_grid, read_header, save, save_grid_parallel
from sci.io.grids import parts as parallel
from sci.potentials.grid import PotentialGrid

STILL = contextlib.nullcontext()

SHAPE, ORIGIN, SPACING = (9, 8, 7), (1.0, -2.0, 0.5), (0.5, 0.25, 1.0)


def whole(seed: int) -> PotentialGrid:
    return PotentialGrid(np.random.default_rng(seed).normal(size=SHAPE), ORIGIN, SPACING, "kT/e")


def cut(grid: PotentialGrid, axis: int, comm: MPI.Intracomm) -> tuple[PotentialGrid, list[int]]:
    """Return this rank's slab of `grid` and its start."""
    part = distributed.split(SHAPE[axis], comm)
    start = [part.start if other == axis else 0 for other in range(3)]
    slices = tuple(part if other == axis else slice(None) for other in range(3))
    origin = tuple(o + s * h for o, s, h in zip(ORIGIN, start, SPACING))
    return PotentialGrid(grid.values[slices], origin, SPACING, grid.units), start


def caught(call, *args, **keywords) -> Exception:
    try:
        call(*args, **keywords)
    except Exception as error:
        return error
    raise AssertionError(f"{call} raised nothing")


def check_slabs(folder: Path, comm: MPI.Intracomm) -> None:
    path = folder / "grid.h5"
    n_files = comm.size + 1 if not (comm.size > 1 and h5py.get_config().mpi) else 1
    for axis in range(3):
        grid = whole(axis)
        local, start = cut(grid, axis, comm)
        save_grid_parallel(path, local, grid_shape=SHAPE, local_start=start, comm=comm, command="x", overwrite=True)
        found = load(path)
        assert found.values.tobytes() == grid.values.tobytes()
        assert np.allclose(found.origin, ORIGIN)
        assert (found.spacing, found.units, read_header(path).command) == (SPACING, "kT/e", "x")
        with h5py.File(path) as file:  # what any other program sees
            np.testing.assert_array_equal(file["VTKHDF/PointData/potential"][()].transpose(2, 1, 0), grid.values)
        # The parts of the file that was replaced are gone.
        comm.Barrier()
        assert len(list(folder.iterdir())) == n_files, sorted(folder.iterdir())
        comm.Barrier()


def check_joining(folder: Path, comm: MPI.Intracomm) -> None:
    if comm.rank == 0:
        join_parts(folder / "grid.h5", folder / "one.h5")
        one, parts = load_grid(folder / "one.h5"), load_grid(folder / "grid.h5")
        assert one.values.tobytes() == parts.values.tobytes()
        assert read_header(folder / "one.h5").parent_uuid == read_header(folder / "grid.h5").uuid
        (folder / "one.h5").unlink()
    comm.Barrier()


def check_missing_and_foreign_parts(folder: Path, comm: MPI.Intracomm) -> None:
    """A part that is missing, cut or of another file is an error, never a fill value."""
    comm.Barrier()
    parts = sorted(folder.glob("grid.*.part*.h5"))
    if comm.rank == 0 and parts:
        content = parts[-1].read_bytes()
        parts[-1].unlink()
        assert "is missing beside the file" in str(caught(load, folder / "grid.h5"))
        parts[-1].write_bytes(content[: len(content) // 2])
        assert isinstance(caught(load, folder / "grid.h5"), FileFormatError)
        parts[-1].write_bytes(content)
        with h5py.File(parts[-1], "r+") as file:
            file["potential"][0, 0, 0] += 1
        assert "fails its checksum" in str(caught(load, folder / "grid.h5"))
        parts[-1].write_bytes(content)
        with h5py.File(parts[-1], "r+") as file:
            file.attrs["parent_uuid"] = np.bytes_("another")
        assert "belongs to another file" in str(caught(load, folder / "grid.h5"))
        parts[-1].write_bytes(content)
        load(folder / "grid.h5")
    comm.Barrier()


def check_agreed_errors(folder: Path, comm: MPI.Intracomm) -> None:
    """What is wrong on one rank is raised on all, and leaves no file."""
    before = sorted(folder.iterdir())
    comm.Barrier()
    local, start = cut(whole(0), 0, comm)
    wrong = [start[0] + (comm.rank == comm.size - 1), 0, 0]
    error = caught(save_grid_parallel, folder / "a.h5", local, grid_shape=SHAPE, local_start=wrong, comm=comm)
    assert isinstance(error, InvalidValueError), error
    assert "do not tile" in str(error)
    last = comm.rank == comm.size - 1
    if comm.size == 1 or not h5py.get_config().mpi:
        with mock.patch.object(parallel, "create", side_effect=FileFormatError("the disk is full")) if last else STILL:
            error = caught(save_grid_parallel, folder / "a.h5", local, grid_shape=SHAPE, local_start=start, comm=comm)
        assert isinstance(error, FileFormatError), error
        assert "the disk is full" in str(error)
    if comm.size > 1:
        other = folder / ("b.h5" if last else "a.h5")
        error = caught(save_grid_parallel, other, local, grid_shape=SHAPE, local_start=start, comm=comm)
        assert "path differs between ranks" in str(error), error
    nowhere = folder / "none" / "b.h5"
    assert isinstance(caught(save, nowhere, whole(0), comm=comm), FileFormatError)
    error = caught(save_grid_parallel, nowhere, local, grid_shape=SHAPE, local_start=start, comm=comm)
    assert isinstance(error, FileFormatError), error
    comm.Barrier()
    assert sorted(folder.iterdir()) == before, sorted(folder.iterdir())
    comm.Barrier()


def check_ranks_without_points(folder: Path, comm: MPI.Intracomm) -> None:
    """A grid with fewer planes than ranks, and boxes of different heights in many slabs."""
    grid = whole(3)
    for axis, planes in ((2, comm.size - 1), (0, 1)):
        part = distributed.split(planes, comm)
        slices = tuple(part if other == axis else slice(None) for other in range(3))
        values = grid.values[tuple(slice(planes) if other == axis else slice(None) for other in range(3))]
        start = [part.start if other == axis else 0 for other in range(3)]
        origin = tuple(o + s * h for o, s, h in zip(ORIGIN, start, SPACING))
        full = part.stop > part.start
        local = PotentialGrid(values[slices], origin, SPACING, "V") if full else None
        options = {"grid_shape": values.shape, "local_start": start, "comm": comm}
        if planes == 0:
            error = caught(save_grid_parallel, folder / "few.h5", None, **options)
            assert "do not tile" in str(error), error
            continue
        for slab_bytes in (2**26, 100):
            parallel._SLAB_BYTES = slab_bytes
            save_grid_parallel(folder / "few.h5", local, **options, overwrite=True)
            found = load(folder / "few.h5")
            assert found.values.tobytes() == values.tobytes()
            assert found.units == read_header(folder / "few.h5").units == "V"
            comm.Barrier()
        parallel._SLAB_BYTES = 2**26


def check_save(folder: Path, comm: MPI.Intracomm) -> None:
    save(folder / "saved.h5", whole(4), comm=comm, overwrite=True)
    assert load(folder / "saved.h5").values.tobytes() == whole(4).values.tobytes()


def main() -> None:
    comm = private_communicator()
    folder = Path(sys.argv[1])
    with abort_on_error(comm):
        check_slabs(folder, comm)
        check_joining(folder, comm)
        check_missing_and_foreign_parts(folder, comm)
        check_agreed_errors(folder, comm)
        check_save(folder, comm)
        check_ranks_without_points(folder, comm)
        comm.Barrier()
        if comm.rank == 0:
            how = "collectively" if h5py.get_config().mpi else "in parts"
            print(f"PASS: files on {comm.size} ranks, written {how}")


if __name__ == "__main__":
    main()
