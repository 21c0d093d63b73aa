"""Grids that are spread over ranks: one collective file where h5py has MPI, else parts and a virtual dataset."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.distributed import Comm, agreed, allgather_rows, broadcast_object, rank_of, release_file, size, watch_file
from sci.errors import InvalidValueError
from sci.io.core.atomic_write import replacing
from sci.io.core.datasets import Group, read_text
from sci.io.core.dimensions import attach_scales, copy_data
from sci.io.core.hdf5 import LIBVER, create, open_file
from sci.io.core.header import Header, make_header, write_header
from sci.io.core.outputs import reserve
from sci.io.grids.slabs import read_slabs
from sci.io.grids.vtkhdf import (
    NAME,
    PART,
    Frame,
    create_image,
    fill,
    image_group,
    label,
    part_files,
    write_part,
    z_slab,
)
from sci.potentials.grid import PotentialGrid
from sci.units import POTENTIAL_UNITS

__all__ = ["join_parts", "link_parts", "save_grid_parallel", "save_with_parts"]

_SLAB_BYTES = 2**26


def save_grid_parallel(
    path: str | Path,
    local: PotentialGrid | None,
    *,
    grid_shape: Sequence[int],
    local_start: Sequence[int],
    comm: Comm = None,
    command: str | None = None,
    parent_uuid: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a grid of which each rank holds one box.

    Parameters
    ----------
    path : path
        On a file system that all ranks see.
    local : PotentialGrid or None
        This rank's box, with the origin of its own first point; units, dtype and spacing the same on all ranks. None
        on a rank that has no points.
    grid_shape : (3,) int
        Shape of the whole grid.
    local_start : (3,) int
        Index of this rank's first point in the whole grid. The boxes of the ranks tile it.
    comm : mpi4py communicator, optional
    command, parent_uuid, overwrite : optional
        As in `save`.

    Raises
    ------
    InvalidValueError
        On every rank, if the boxes do not tile the grid or their spacings differ; if the file exists and is not to be
        replaced, or another process or thread writes it.
    FileFormatError
        On every rank, if one of them cannot write.

    Notes
    -----
    Collective. With an h5py that was built for MPI all ranks write one file; should the disk fill up there, MPI-IO may
    end the job. Otherwise each rank writes a part
    `name.<8 hex digits>.part000.h5` beside `path`, and rank 0 a small file of that name whose virtual dataset joins
    them by relative names: move or copy them together, or make one file with `join_parts`. The parts carry the uuid of
    their file, and those of a file that is replaced are removed after the new one is complete.
    """
    header = make_header("grid", "", command, parent_uuid)
    save_with_parts(path, header, lambda file: None, local, grid_shape, local_start, comm, overwrite)


def save_with_parts(
    path: str | Path,
    header: Header,
    write: Callable[[Group], None],
    local: PotentialGrid | None,
    grid_shape: Sequence[int],
    local_start: Sequence[int],
    comm: Comm,
    overwrite: bool,
) -> None:
    """Write a file whose grid is spread over ranks; `write` adds the rest, the same on all ranks (collective)."""
    path = Path(path)
    shape = tuple(int(n) for n in grid_shape)
    boxes = _boxes(local, shape, local_start, comm)
    filled = np.flatnonzero(boxes[:, 3:].prod(axis=1))
    whole = None
    if local is not None:
        origin = tuple(o - s * h for o, s, h in zip(local.origin, local_start, local.spacing))
        whole = origin, local.spacing, local.units, local.values.dtype.str
    # One rank's header and frame count, so that all ranks write the same bytes of metadata.
    origin, spacing, units, dtype = broadcast_object(whole, comm, int(filled[0]))
    header = replace(broadcast_object(header, comm), units=header.units or units)

    def image(file: Group) -> Group:
        write(file)
        return image_group(file, shape, origin, spacing, units)

    write_grid = _write_collectively if size(comm) > 1 and h5py.get_config().mpi else _write_parts
    with reserve(path, overwrite=overwrite, comm=comm):
        write_grid(path, header, image, local, boxes, np.dtype(dtype), comm)


def _boxes(local: PotentialGrid | None, shape: Sequence[int], start: Sequence[int], comm: Comm) -> np.ndarray:
    """Return start and shape of every rank's box, (size, 6), after checking on all ranks that they tile the grid."""
    with agreed(comm, "save_grid_parallel"):
        if len(shape) != 3 or len(start) != 3:
            raise InvalidValueError(
                f"grid_shape is {tuple(shape)}, local_start {tuple(start)}; expected three integers"
            )
    own = (0, 0, 0) if local is None else local.shape
    boxes = np.asarray(allgather_rows(np.array([[*start, *own]], dtype=np.int64), comm))
    frame = np.zeros((1, 8))
    frame[0, :3] = shape
    if local is not None:
        frame[0, 3:] = (*local.spacing, local.values.dtype.itemsize, POTENTIAL_UNITS.index(local.units))
    frames = np.asarray(allgather_rows(frame, comm))
    filled = boxes[:, 3:].prod(axis=1) > 0
    first = frames[filled.argmax()]
    differs = np.abs(frames - first) > 1e-9 * np.abs(first)
    if differs[filled].any() or differs[:, :3].any():
        raise InvalidValueError("the ranks' spacings, units, dtypes or grid_shapes differ; expected one of each")
    if not _tiles(boxes[filled], shape):
        raise InvalidValueError(
            f"the boxes (start, shape) {boxes.tolist()[:8]} do not tile a grid of {tuple(shape)} points; pass the "
            "decomposition's grid_shape and local_start, without halo"
        )
    return boxes


def _tiles(boxes: np.ndarray, shape: Sequence[int]) -> bool:
    low, high = boxes[:, :3], boxes[:, :3] + boxes[:, 3:]
    inside = (low >= 0).all() and (high <= np.array(shape)).all()
    if not inside or len(boxes) == 0 or boxes[:, 3:].prod(axis=1).sum() != math.prod(shape):
        return False
    overlap = (low[:, None] < high) & (low < high[:, None])
    return int(overlap.all(axis=-1).sum()) == len(boxes)


def _file_box(box: np.ndarray) -> tuple[slice, ...]:
    """Return a box's slices in the file's order (z, y, x)."""
    return tuple(slice(int(a), int(a + n)) for a, n in zip(box[2::-1], box[:2:-1]))


def _file_shape(boxes: np.ndarray) -> tuple[int, ...]:
    """Return the shape of the whole grid in the file's order."""
    return tuple(int(n) for n in (boxes[:, :3] + boxes[:, 3:])[boxes[:, 3:].prod(axis=1) > 0].max(axis=0)[::-1])


def _write_parts(
    path: Path,
    header: Header,
    image: Callable[[Group], Group],
    local: PotentialGrid | None,
    boxes: np.ndarray,
    dtype: np.dtype,
    comm: Comm,
) -> None:
    names = [f"{path.stem}.{header.uuid[:8]}.part{rank:03d}.h5" for rank in range(len(boxes))]
    mine = path.with_name(names[rank_of(comm)])
    watch_file(mine)
    try:
        with agreed(comm, "save_grid_parallel"):
            if local is not None:
                part = make_header(PART, local.units, header.command, header.uuid)
                with create(mine, part, int(local.values.nbytes)) as file:
                    write_part(file, local)
        with agreed(comm, "save_grid_parallel"):
            if rank_of(comm) == 0:
                stale = part_files(path)
                with create(path, header, sealed=True) as file:
                    link_parts(image(file), names, boxes, dtype)
                for old in stale:
                    with contextlib.suppress(OSError):
                        old.unlink()
    except BaseException:
        with contextlib.suppress(OSError):
            mine.unlink(missing_ok=True)
        raise
    finally:
        release_file(mine)


def link_parts(image: Group, names: Sequence[str], boxes: np.ndarray, dtype: Any) -> None:
    """Create the virtual dataset; where a part is missing other readers see NaN, and ours raises."""
    layout = h5py.VirtualLayout(_file_shape(boxes), dtype)
    for name, box in zip(names, boxes):
        if box[3:].all():
            layout[_file_box(box)] = h5py.VirtualSource(name, NAME, tuple(int(n) for n in box[:2:-1]), dtype)
    label(image.create_virtual_dataset(NAME, layout, fillvalue=np.nan), read_text(image.parent, "units"))


def _write_collectively(
    path: Path,
    header: Header,
    image: Callable[[Group], Group],
    local: PotentialGrid | None,
    boxes: np.ndarray,
    dtype: np.dtype,
    comm: Comm,
) -> None:
    shape = _file_shape(boxes)
    with contextlib.ExitStack() as stack:
        with agreed(comm, "save_grid_parallel"):
            needed = math.prod(shape) * dtype.itemsize
            first = stack.enter_context(replacing(path, needed)) if rank_of(comm) == 0 else None
        temporary = broadcast_object(first, comm)
        with (
            agreed(comm, "save_grid_parallel"),
            h5py.File(temporary, "w", driver="mpio", comm=comm, libver=LIBVER) as file,
        ):
            write_header(file, header)
            data = image(file)
            dataset = data.create_dataset(NAME, shape, dtype=dtype)
            label(dataset, read_text(data.parent, "units"))
            attach_scales(file)
            z, y, x = _file_box(boxes[rank_of(comm)])
            # The same number of slabs on all ranks, whatever they hold: each write is collective.
            count = _n_slabs(boxes, dtype.itemsize)
            for k in range(count):
                part = _slab(z.stop - z.start, k, count)
                values = np.empty((0, 0, 0), dtype) if local is None else z_slab(local, part)
                _write_together(dataset, (z.start + part.start, y.start, x.start), values)
        with agreed(comm, "save_grid_parallel"):
            stack.close()


def _write_together(dataset: Any, start: Sequence[int], values: np.ndarray) -> None:
    """Write a box at `start` collectively, also where it is empty: h5py's own assignment then leaves the call out."""
    space, memory = dataset.id.get_space(), h5py.h5s.create_simple(values.shape or (1,))
    if values.size:
        space.select_hyperslab(tuple(start), values.shape)
    else:
        space.select_none()
        memory.select_none()
    transfer = h5py.h5p.create(h5py.h5p.DATASET_XFER)
    transfer.set_dxpl_mpio(h5py.h5fd.MPIO_COLLECTIVE)
    dataset.id.write(memory, space, values, dxpl=transfer)


def _n_slabs(boxes: np.ndarray, itemsize: int) -> int:
    return max(1, math.ceil(int(boxes[:, 3:].prod(axis=1).max()) * itemsize / _SLAB_BYTES))


def _slab(length: int, k: int, count: int) -> slice:
    return slice(length * k // count, length * (k + 1) // count)


def join_parts(path: str | Path, out: str | Path, *, overwrite: bool = False) -> None:
    """Make one plain file of a file with parts: every group copied, the grid read from its parts and checked.

    Parameters
    ----------
    path : path
        A file of kind grid or potential.
    out : path
        The new file; its parent_uuid is the uuid of the old one.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InvalidValueError
        If `out` exists and is not to be replaced, or another process or thread writes it.
    FileFormatError
        If a part is missing or damaged, or the disk is full.

    Notes
    -----
    Memory: five slabs of 16 MiB.
    """
    with reserve(out, overwrite=overwrite):
        _join(path, out)


def _join(path: str | Path, out: str | Path) -> None:
    grid = read_slabs(path)
    with open_file(path, ("grid", "potential")) as (file, header):
        new = make_header(header.kind, header.units, header.command, header.uuid)
        with create(out, new, math.prod(grid.shape) * grid.dtype.itemsize) as target:
            copy_data(file, target, leave=["VTKHDF"])
            frame = Frame(grid.shape, grid.origin, grid.spacing, grid.units)
            dataset = create_image(target, frame, grid.dtype)
            fill(dataset, (z_slab(slab, slice(None)) for slab in grid), frame)
