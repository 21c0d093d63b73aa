"""Compressed files with plain datasets again."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

from sci.arguments import entry
from sci.compression import CompressedGrid
from sci.compression.chunks.grid import of_one
from sci.errors import FileFormatError, InvalidValueError
from sci.io.codecs.compressed.arrays import GRID, read_grid_of, with_journal
from sci.io.codecs.compressed.field import FIELD
from sci.io.codecs.compressed.rules import (
    NUMPY,
    RECORD,
    StoredField,
    copy_root,
    full_disk_told,
)
from sci.io.core.atomic_write import replacing
from sci.io.core.datasets import PACKED, Group, crc32, is_packed, packed_about, read_text, walk, write_text
from sci.io.core.dimensions import copy_attributes, copy_data
from sci.io.core.hdf5 import create, open_file
from sci.io.core.header import Header
from sci.io.core.outputs import reserve
from sci.io.core.registry import kinds

__all__ = ["compressed_fields", "decompress_file"]


@entry
def decompress_file(path: str | Path, out: str | Path, *, overwrite: bool = False) -> tuple[StoredField, ...]:
    """Write a compressed file again with its fields as plain datasets.

    Parameters
    ----------
    path : path
        A file of `compress_file`, or of kind compressed_grid.
    out : path
        The new file, of the kind of the first one, with its header; for a compressed_grid a .npy file. An attribute
        `compression` keeps tolerance, bound and errors.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    tuple of StoredField
        The fields.

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file, or one that is not compressed; if the folder cannot be written to or the
        disk is full.
    InvalidValueError
        If `out` is the input, has another suffix, or exists and is not to be replaced.

    Notes
    -----
    Memory: at most 8 times a slab of the first axis, as thick as a chunk, whatever the size of the field.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import compress_file, decompress_file, load_samples, save_samples
    >>> x = np.sin(np.linspace(0.0, 9.0, 64))[:, None] * np.ones((10, 64, 64))
    >>> save_samples("set.h5", x, x, grid_axes=2)
    >>> done = compress_file("set.h5", "small.h5", 1e-3)
    >>> decompress_file("small.h5", "again.h5")
    (StoredField('x', 10 x 64 x 64 float64, compressed), StoredField('y', 10 x 64 x 64 float64, compressed))
    >>> bool(np.linalg.norm(load_samples("again.h5").x - x) <= 1e-3 * np.linalg.norm(x))
    True
    """
    path, out = Path(path), Path(out)
    if out.exists() and path.exists() and out.samefile(path):
        raise InvalidValueError(f"{out} is the input; choose another name for the output")
    fields = compressed_fields(path, out)
    n_bytes = sum(one.nbytes for one in fields) + path.stat().st_size
    with reserve(out, overwrite=overwrite), open_file(path) as (file, header), full_disk_told(out):
        alone = _alone(file, header)
        if alone is not None:
            _to_npy(alone, out)
            return fields
        with create(out, header, n_bytes) as new:
            copy_root(file, new, header)
            if RECORD in file.attrs:
                write_text(new, RECORD, read_text(file, RECORD))
            copy_data(file, new, [one.name for one in fields])
            for one in fields:
                _restore(file[one.name], new, one.name)
    return fields


def compressed_fields(path: Path, out: Path) -> tuple[StoredField, ...]:
    """Return the fields of a compressed file, after checking that the name of what is made of it fits.

    Raises
    ------
    FileFormatError, InvalidValueError
    """
    with open_file(path) as (file, header):
        alone = _alone(file, header)
        if alone is not None:
            found = [StoredField("", alone.shape, alone.dtype)]
        else:
            abouts = {name: packed_about(item) for name, item in walk(file) if is_packed(item)}
            found = [StoredField(name, tuple(about["shape"]), about["dtype"]) for name, about in abouts.items()]
        if not found:
            raise FileFormatError("the file is not compressed; `load` reads it as it is")
    if (alone is not None) != (out.suffix.lower() == NUMPY):
        expected = (
            f"{out.stem}.npy, for one array"
            if alone is not None
            else f"{out.stem}.h5, for a file of kind {header.kind}"
        )
        raise InvalidValueError(f"{out}: expected a name like {expected}")
    return tuple(found)


def _alone(file: Group, header: Header) -> CompressedGrid | None:
    """Return the array of a file of one compressed array, whose chunks stay in the file; None for other kinds."""
    if header.kind == GRID:
        return with_journal(read_grid_of(file[GRID], lazily=True), file[GRID])
    if header.kind == FIELD:
        return of_one(kinds()[FIELD].codec.read(file[FIELD]))
    return None


def _to_npy(grid: CompressedGrid, out: Path) -> None:
    dtype = np.dtype(grid.dtype)
    with (
        replacing(out, math.prod(grid.shape) * dtype.itemsize) as temporary,
        temporary.open("wb") as raw,
    ):
        np.lib.format.write_array_header_2_0(raw, {"descr": dtype.str, "fortran_order": False, "shape": grid.shape})
        for slab in grid.slabs():
            raw.write(np.ascontiguousarray(slab).tobytes())


def _restore(group: Group, new: Group, name: str) -> None:
    """Write the numbers of a compressed dataset slab by slab, with their checksum if they had one."""
    about, grid = packed_about(group), read_grid_of(group, PACKED, lazily=True)
    dataset = new.create_dataset(name, grid.shape, grid.dtype)
    copy_attributes(group, dataset, (PACKED, "methods", "columns"))
    checksum = 0
    for (start, stop), slab in zip(itertools.pairwise(grid.edges[0]), grid.slabs()):
        dataset[start:stop] = slab
        checksum = crc32(slab, checksum)
    dataset.flush()
    if about.get("checked"):
        dataset.attrs["crc32"] = checksum
