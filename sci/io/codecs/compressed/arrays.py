"""Compressed arrays in groups of files: alone, and in place of the datasets of other kinds."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.compression import CompressedField, CompressedGrid
from sci.compression.chunks.grid import NUMBERS, total_errors
from sci.compression.chunks.plans import Edges, blocks_of, folded
from sci.errors import FileFormatError, InvalidValueError
from sci.io.codecs.compressed.journal import records
from sci.io.core.datasets import (
    PACKED,
    Group,
    crc32,
    is_packed,
    member,
    name_axes,
    packed_about,
    packed_damages,
    read_array,
    read_text,
    walk,
    write_array,
    write_text,
)
from sci.io.core.dimensions import copy_attributes
from sci.io.core.hdf5 import LIBVER, open_file
from sci.io.core.registry import codec

__all__ = ["GRID", "read_compressed", "read_grid_of", "write_chunks"]

GRID = "compressed_grid"
FIELD = "compressed_field"
TIMES = "times"
EXTENT = "extent"
"""Attribute of a series: its least and largest number (JSON)."""
ABOUT = "about"
"""Attribute with shape, dtype, edges and error of an array that stands in place of no dataset."""

_HELD = 2**24
"""Compressed bytes up to which they wait in memory for their count, and then lie in one piece."""
_PIECE = 2**20
"""Bytes of a piece of a dataset that grows while chunks are compressed."""
_COLUMNS = ("end", "checksum", "method", *NUMBERS)
"""What `chunks` has of each chunk: float64 hold these integers exactly."""


def write_chunks(
    group: Group, chunks: Iterable[CompressedField], about: Mapping[str, Any], attribute: str = ABOUT
) -> None:
    """Write compressed chunks into an empty group while they are made.

    Parameters
    ----------
    group : h5py.Group
    chunks : iterable of CompressedField
    about : mapping
        What `about_array` says of the array.
    attribute : str
        Name of the attribute that this goes into.
    """
    rows: list[tuple[float, ...]] = []
    methods: dict[str, int] = {}
    held: list[np.ndarray] = []
    data, end = None, 0
    for chunk in chunks:
        held.append(chunk.data)
        end += chunk.nbytes
        number = methods.setdefault(chunk.method, len(methods))
        rows.append((end, crc32(chunk.data), number, *(getattr(chunk, name) for name in NUMBERS)))
        if sum(map(len, held)) > _HELD:
            data = data or group.create_dataset("data", (0,), np.uint8, maxshape=(None,), chunks=(_PIECE,))
            _flush(data, held)
    if data is None:
        data = group.create_dataset("data", data=np.concatenate([np.empty(0, np.uint8), *held]))
    else:
        _flush(data, held)
    data.flush()
    write_text(data, "units", "1")
    name_axes(data, ("byte",))
    table = np.array(rows, np.float64).reshape(-1, len(_COLUMNS))
    write_array(group, "chunks", table, "1", ("chunk", "column"))
    write_text(group, "columns", json.dumps(_COLUMNS))
    write_text(group, "methods", json.dumps(list(methods)))
    write_text(group, attribute, json.dumps(dict(about)))


def _flush(data: Any, held: list[np.ndarray]) -> None:
    """Append bytes to a dataset, and forget them."""
    values = np.concatenate([np.empty(0, np.uint8), *held])
    data.resize((len(data) + len(values),))
    data[len(data) - len(values) :] = values
    held.clear()


@dataclass(frozen=True)
class _StoredChunks(Sequence[CompressedField]):
    """The chunks of an array in a file, read one by one when they are asked for."""

    path: Path
    name: str
    columns: Mapping[str, np.ndarray]
    methods: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    bound: Any

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: Any) -> Any:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return [self[number] for number in numbers]
        with open_file(self.path) as (file, _):
            return self.read(file[self.name], numbers)

    def read(self, group: Group, number: int) -> CompressedField:
        """Return a chunk from the open group, after comparing its checksum."""
        ends = self.columns["end"]
        values = np.asarray(group["data"][int(ends[number - 1]) if number else 0 : int(ends[number])])
        if crc32(values) != self.columns["checksum"][number]:
            raise FileFormatError(f"{group.name}: chunk {number} fails its checksum; make the file again")
        numbers = {name: float(self.columns[name][number]) for name in NUMBERS}
        method = self.methods[int(self.columns["method"][number])]
        shape = folded(self.shapes[number])
        return CompressedField(shape, self.dtype, method, values, bound=self.bound, relative=False, **numbers)


def read_grid_of(group: Group, attribute: str = ABOUT, *, lazily: bool = False) -> CompressedGrid:
    """Return the array in a group that `write_chunks` filled.

    Parameters
    ----------
    group : h5py.Group
    attribute : str
    lazily : bool
        Leave the chunks in the file; each is read when it is asked for.

    Raises
    ------
    FileFormatError
    """
    about = packed_about(group, attribute)
    with packed_damages(group):
        shape, edges = tuple(about["shape"]), tuple(tuple(axis) for axis in about["edges"])
        table = read_array(group, "chunks", (None, len(_COLUMNS)))
        columns = dict(zip(json.loads(read_text(group, "columns")), table.T))
        methods = tuple(json.loads(read_text(group, "methods")))
        dtype, bound = str(about["dtype"]), about["bound"]
        shapes = tuple(tuple(s.stop - s.start for s in place) for place in blocks_of(shape, edges))
        data = member(group, "data")
        _check_columns(columns, len(shapes), data, len(methods))
        stored = _StoredChunks(Path(group.file.filename), group.name, columns, methods, shapes, dtype, bound)
        chunks = stored if lazily else tuple(stored.read(group, number) for number in range(len(shapes)))
        errors = total_errors(columns["l2_error"].tolist(), columns["maximum_error"].tolist())
        numbers = (*errors, math.hypot(*columns["l2_norm"].tolist()), float(about["value_range"]))
        times = read_array(group, TIMES, (shape[0],)) if TIMES in group else None
        return CompressedGrid(
            shape, dtype, edges, chunks, float(about["tol"]), bound, bool(about["relative"]), *numbers, times
        )


def with_journal(grid: CompressedGrid, group: Group) -> CompressedGrid:
    """Return a series with the chunks that its writer appended behind the end of the HDF5 file, and has not joined."""
    found = list(records(Path(group.file.filename)))
    if not found:
        return grid
    with packed_damages(group):
        low, high = json.loads(read_text(group, EXTENT))
        edges, chunks = list(grid.edges[0]), list(grid.chunks)
        times = [] if grid.times is None else grid.times.tolist()
        for record in found:
            about = dict(record.about)
            count, extent = about.pop("frames"), about.pop("extent")
            times += about.pop("times")
            low, high = min(low, extent[0]), max(high, extent[1])
            edges.append(edges[-1] + count)
            shape = folded((count, *grid.shape[1:]))
            data = np.frombuffer(record.data, np.uint8)
            chunks.append(CompressedField(shape, grid.dtype, data=data, bound=grid.bound, relative=False, **about))
        errors = total_errors([chunk.l2_error for chunk in chunks], [chunk.maximum_error for chunk in chunks])
        told = np.array(times) if len(times) == edges[-1] else None
        whole: dict[str, Any] = {"shape": (edges[-1], *grid.shape[1:]), "edges": (tuple(edges),)}
        whole |= {"chunks": tuple(chunks), "times": told}
        norm = math.hypot(*(chunk.l2_norm for chunk in chunks))
        numbers = {"l2_error": errors[0], "maximum_error": errors[1], "l2_norm": norm, "value_range": high - low}
        return replace(grid, **whole, **numbers)


def _check_columns(columns: Mapping[str, np.ndarray], count: int, data: Any, methods: int) -> None:
    ends = columns["end"]
    fits = (
        set(columns) >= set(_COLUMNS)
        and all(len(column) == count for column in columns.values())
        and isinstance(data, h5py.Dataset)
        and data.dtype == np.uint8
        and data.ndim == 1
        and data.shape[0] == (ends[-1] if count else 0)
        and (np.diff(ends, prepend=0) >= 0).all()
        and ((columns["method"] >= 0) & (columns["method"] < methods)).all()
    )
    if not fits:
        raise ValueError(f"expected {count} chunks")


def unpacked(group: Group) -> Any:
    """Return a dataset in memory with the numbers, the units and the axes of a compressed one."""
    values = read_grid_of(group, PACKED).decompress()
    scratch = h5py.File(f"{uuid.uuid4().hex}.scratch", "w", driver="core", backing_store=False, libver=LIBVER)
    dataset = scratch.create_dataset(group.name, data=values)
    copy_attributes(group, dataset, (PACKED, "methods", "columns"))
    dataset.kept_open = scratch  # a file without a name in Python is closed, and its datasets with it
    return dataset


def read_compressed(path: str | Path, name: str | None = None) -> CompressedGrid:
    """Return a compressed array of a file, of which a chunk is read and decoded when it is asked for.

    Parameters
    ----------
    path : path
        A file of kind compressed_grid, or of any kind whose fields are compressed.
    name : str, optional
        Path of the array in the file; not needed where there is one.

    Returns
    -------
    CompressedGrid
        `grid[10:20]` reads the chunks that it meets, and no others.

    Raises
    ------
    FileFormatError
        For a missing or damaged file, or one without such an array; also in `grid[...]` for a chunk that is damaged.
    InvalidValueError
        If the file holds several and `name` is none of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import compress_grid
    >>> from sci.io import read_compressed, save
    >>> save("waves.h5", compress_grid(np.sin(np.arange(6400.0).reshape(64, 100)), 1e-3, chunk=16))
    >>> read_compressed("waves.h5")[20:22].shape
    (2, 100)
    """
    with open_file(path) as (file, header):
        if header.kind == GRID:
            return with_journal(read_grid_of(file[GRID], lazily=True), file[GRID])
        found = [where for where, item in walk(file) if is_packed(item)]
        wanted = found if name is None else [where for where in found if where == name.strip("/")]
        if not found:
            raise FileFormatError("the file holds no compressed array; `load` reads it")
        if len(wanted) == 1:
            return read_grid_of(file[wanted[0]], PACKED, lazily=True)
    raise InvalidValueError(f"{path}: name is {name!r}; expected one of {', '.join(found)}")


@codec(CompressedGrid, kind=GRID)
class _GridCodec:
    """`data` (bytes of the chunks, one behind the other); `chunks` (n, column): for each chunk what the attribute
    `columns` names (JSON): end in `data`, CRC-32, place of its method in the attribute `methods`, tolerance, errors,
    norm and range; of a series also `times`; attribute `about` (JSON: shape, dtype, edges, tol, bound, relative,
    value_range)."""

    @staticmethod
    def write(group: Group, grid: CompressedGrid) -> None:
        write_chunks(group, grid.chunks, about_of(grid))
        if grid.times is not None:
            write_array(group, TIMES, np.asarray(grid.times, np.float64), "", ("frame",))

    @staticmethod
    def read(group: Group) -> CompressedGrid:
        return with_journal(read_grid_of(group), group)

    @staticmethod
    def n_bytes(grid: CompressedGrid) -> int:
        """Return the bytes of the chunks, and of what is noted of each."""
        return grid.nbytes + 8 * len(_COLUMNS) * len(grid.chunks) + _PIECE


def about_of(grid: CompressedGrid) -> dict[str, Any]:
    """Return the entries of the attribute of a grid."""
    return about_array(grid.shape, grid.dtype, grid.edges, grid.tol, grid.bound, grid.relative, grid.value_range)


def about_array(
    shape: Sequence[int], dtype: str, edges: Edges, tol: float, bound: str, relative: bool, value_range: float
) -> dict[str, Any]:
    """Return the entries of the attribute of a compressed array; the numbers of its chunks say the rest."""
    settings = {"tol": float(tol), "bound": bound, "relative": bool(relative), "value_range": float(value_range)}
    return {"shape": list(shape), "dtype": dtype, "edges": [list(axis) for axis in edges], **settings}
