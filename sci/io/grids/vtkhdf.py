"""Grids as VTKHDF ImageData (version 2.0), which ParaView and VTK open as they are.

The values of a grid are (nx, ny, nz); VTK's x runs fastest, so the dataset is (nz, ny, nx), and is written and read
in slabs of z without a second copy of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.backend import to_host
from sci.errors import FileFormatError
from sci.io.core.datasets import MAX_RATIO, Group, crc32, member, name_axes, read_text, write_array, write_text
from sci.io.core.hdf5 import open_file
from sci.io.core.registry import codec
from sci.io.grids.fields import create_image_group
from sci.potentials.grid import PotentialGrid
from sci.units import POTENTIAL_UNITS

__all__ = [
    "NAME",
    "PART",
    "Frame",
    "checked_parts",
    "create_image",
    "fill",
    "image_group",
    "label",
    "part_files",
    "read_frame",
    "read_grid",
    "slabs",
    "stored_slabs",
    "write_grid",
    "write_part",
    "z_slab",
]

NAME = "potential"
"""Name of the point data."""

PART = "grid_part"
"""Kind of the files that hold one rank's box of a grid."""

_SLAB_BYTES = 2**24
_CHUNK = (8, 64, 64)


@dataclass(frozen=True)
class Frame:
    """All of a grid but its values: points (nx, ny, nz), origin and spacing in angstrom, units of the values."""

    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    units: str


def slabs(shape: tuple[int, ...], itemsize: int = 8) -> Iterator[slice]:
    """Yield slices of z that hold about 16 MiB each of a grid of `shape` (nx, ny, nz)."""
    nx, ny, nz = shape
    thickness = max(1, _SLAB_BYTES // (nx * ny * itemsize) // _CHUNK[0] * _CHUNK[0])
    for start in range(0, nz, thickness):
        yield slice(start, min(start + thickness, nz))


def z_slab(grid: PotentialGrid, part: slice) -> np.ndarray:
    """Return a slab of the values on the host in the file's order, (z, y, x)."""
    return np.ascontiguousarray(to_host(grid.values[:, :, part]).transpose(2, 1, 0))


def image_group(
    file: Group, shape: tuple[int, ...], origin: tuple[float, ...], spacing: tuple[float, ...], units: str
) -> Group:
    """Create the group /VTKHDF of an image of `shape` (nx, ny, nz) and return its group PointData."""
    image = create_image_group(file, tuple(n - 1 for n in shape), origin, spacing)
    write_text(image, "units", units)
    for axis, (name, count) in enumerate(zip("xyz", shape)):
        write_array(image, name, origin[axis] + spacing[axis] * np.arange(count), "angstrom", (name,))
    return image.create_group("PointData")


def label(dataset: Any, units: str, dims: Sequence[str] = ("z", "y", "x")) -> None:
    """Note the units, the names of the axes, and that the values are the image's active scalars."""
    write_text(dataset, "units", units)
    write_text(dataset, "Attribute", "Scalars")
    name_axes(dataset, dims)


def write_grid(file: Group, grid: PotentialGrid, *, compression: int | None = None) -> None:
    """Write `grid` into the group /VTKHDF of an open file; `compression` as in `create_image`."""
    frame = Frame(grid.shape, grid.origin, grid.spacing, grid.units)
    fill(create_image(file, frame, grid.values.dtype, compression), _slabs_of(grid), frame)


def create_image(file: Group, frame: Frame, dtype: Any, compression: int | None = None) -> Any:
    """Create the group /VTKHDF with an empty dataset for the values, and return the dataset.

    Parameters
    ----------
    file : h5py.File
    frame : Frame
    dtype : dtype
    compression : int, optional
        gzip level 1 to 9 with byte shuffle; by default the values lie in one piece and uncompressed, which is the
        fastest to write and read, and can be mapped into memory: see benchmarks/files.py.
    """
    data = image_group(file, frame.shape, frame.origin, frame.spacing, frame.units)
    shape = _flat(frame.shape[::-1])
    packed = {} if compression is None else {"compression": compression, "shuffle": True}
    chunks = {} if compression is None else {"chunks": tuple(min(c, n) for c, n in zip(_CHUNK[-len(shape) :], shape))}
    return data.create_dataset(NAME, shape, dtype=dtype, **packed, **chunks)


def write_part(file: Group, grid: PotentialGrid) -> None:
    """Write one box of a grid, in the file's order, into the root of a file of kind `PART`."""
    frame = Frame(grid.shape, grid.origin, grid.spacing, grid.units)
    fill(file.create_dataset(NAME, grid.shape[::-1], dtype=grid.values.dtype), _slabs_of(grid), frame)


def _slabs_of(grid: PotentialGrid) -> Iterator[np.ndarray]:
    return (z_slab(grid, part) for part in slabs(grid.shape, grid.values.dtype.itemsize))


def fill(dataset: Any, parts: Iterable[np.ndarray], frame: Frame) -> None:
    """Write slabs (z, y, x), one behind the other, then their checksum and the label."""
    at = checksum = 0
    for slab in parts:
        rows = _rows(dataset, frame.shape[::-1], slice(at, at + len(slab)))
        dataset[rows] = slab.reshape(dataset.shape if rows == () else (len(slab), *dataset.shape[1:]))
        checksum = crc32(slab, checksum)
        at += len(slab)
    dataset.flush()  # when it is closed instead, an error of a full disk is lost
    dataset.attrs["crc32"] = checksum
    kept = [name for name, n in zip("zyx", frame.shape[::-1]) if n > 1 or dataset.ndim == 3]
    label(dataset, frame.units, kept or ["x"])


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a dataset (z, y, x) without axes of one point: VTK wants that of a flat image."""
    return tuple(n for n in shape if n > 1) or (1,)


def _rows(dataset: Any, shape: tuple[int, ...], part: slice) -> Any:
    """Return the place of a slab of z in a dataset, which is one slab as a whole if it lacks the axis z."""
    return part if dataset.ndim == 3 or shape[0] > 1 else ()


def part_files(path: str | Path) -> list[Path]:
    """Return the parts that the grid of the file `path` is joined from; none for a plain or unreadable file."""
    try:
        with open_file(path) as (file, _):
            dataset = member(file, f"VTKHDF/PointData/{NAME}")
            virtual = isinstance(dataset, h5py.Dataset) and dataset.is_virtual
            names = [source.file_name for source in dataset.virtual_sources()] if virtual else []
    except FileFormatError:
        return []
    return [Path(path).with_name(name) for name in names if _is_plain(name)]


def read_grid(file: Group) -> PotentialGrid:
    """Return the grid in the group /VTKHDF of an open file.

    Raises
    ------
    FileFormatError
        If the group is missing, is no ImageData, does not fit its dataset, or the values fail their checksum.
    """
    frame, dataset = read_frame(file)
    _check_part_sizes(file, dataset)
    values = np.empty(frame.shape, dataset.dtype)
    if not dataset.is_virtual:
        _read_values(dataset, values)
    for data, box in checked_parts(file, dataset):
        _read_values(data, values[box])
    return PotentialGrid(values, frame.origin, frame.spacing, frame.units)


def read_frame(file: Group) -> tuple[Frame, Any]:
    """Return the frame of the grid of an open file and its dataset (nz, ny, nx), after checking that they fit.

    Raises
    ------
    FileFormatError
    """
    image = member(file, "VTKHDF")
    if not isinstance(image, h5py.Group):
        raise FileFormatError("the file holds no grid (group /VTKHDF); make it with a grid")
    if read_text(image, "Type") != "ImageData":
        raise FileFormatError(f"/VTKHDF has Type {read_text(image, 'Type')!r}; expected 'ImageData'")
    units = read_text(image, "units")
    if units not in POTENTIAL_UNITS:
        raise FileFormatError(f"/VTKHDF has units {units!r}; expected one of {', '.join(POTENTIAL_UNITS)}")
    extent = _numbers(image, "WholeExtent", 6)
    x, y, z = _numbers(image, "Origin", 3).tolist()
    hx, hy, hz = _numbers(image, "Spacing", 3).tolist()
    if extent[::2].any() or (_numbers(image, "Direction", 9) != np.eye(3).ravel()).any():
        raise FileFormatError("/VTKHDF has an extent that does not begin at 0, or a rotated frame; expected neither")
    nx, ny, nz = (int(n) + 1 for n in extent[1::2])
    dataset = member(image, f"PointData/{NAME}")
    if (
        not isinstance(dataset, h5py.Dataset)
        or dataset.dtype not in ("<f4", "<f8")
        or (dataset.shape not in ((nz, ny, nx), _flat((nz, ny, nx))))
    ):
        raise FileFormatError(f"/VTKHDF/PointData/{NAME} is not of {nz} x {ny} x {nx} floats, as WholeExtent says")
    return Frame((nx, ny, nz), (x, y, z), (hx, hy, hz), units), dataset


def stored_slabs(dataset: Any, shape: tuple[int, ...]) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of z and the values of a dataset (z, y, x) that is no virtual one; check size and checksum.

    `shape` is that of the grid, (nx, ny, nz); the dataset may lack the axes of one point.

    Raises
    ------
    FileFormatError
        For the checksum after the last slab.
    """
    stored = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    limit = stored * MAX_RATIO
    if stored == 0 or dataset.nbytes > limit or (dataset.chunks is None and stored != dataset.nbytes):
        raise FileFormatError(f"{dataset.name} holds {stored} of {dataset.nbytes} bytes; the file is damaged")
    checksum = 0
    for part in slabs(shape, dataset.dtype.itemsize):
        slab = dataset[_rows(dataset, shape[::-1], part)].reshape(-1, *shape[-2::-1])
        checksum = crc32(slab, checksum)
        yield part, slab
    if dataset.attrs.get("crc32", checksum) != checksum:
        raise FileFormatError(f"{dataset.name} fails its checksum; the file is damaged: make it again")


def _read_values(dataset: Any, values: np.ndarray) -> None:
    """Read a dataset (z, y, x) into `values` (x, y, z) slab by slab."""
    for part, slab in stored_slabs(dataset, values.shape):
        values[:, :, part] = slab.transpose(2, 1, 0)


def checked_parts(file: Group, dataset: Any) -> Iterator[tuple[Any, tuple[slice, ...]]]:
    """Yield the dataset of each part of a virtual dataset, and its place (x, y, z); none for a plain one.

    A virtual dataset reads as NaN where a part is missing, so every part is opened on its own.

    Raises
    ------
    FileFormatError
        For a part that is missing, foreign or of another size; after the last one if they do not fill the grid.
    """
    filled, uuid = 0, read_text(file, "uuid")
    for source in dataset.virtual_sources() if dataset.is_virtual else []:
        path = _part_path(file, source.file_name)
        low, high = source.vspace.get_select_bounds()
        place = tuple(slice(a, b + 1) for a, b in zip(reversed(low), reversed(high)))
        shape = tuple(b - a + 1 for a, b in zip(low, high))
        if not path.is_file():
            raise FileFormatError(f"the part {path.name} is missing beside the file; copy the parts together with it")
        with open_file(path, (PART,)) as (part, header):
            if header.parent_uuid != uuid:
                raise FileFormatError(f"the part belongs to another file ({header.parent_uuid}, not {uuid})")
            data = member(part, NAME)
            if not isinstance(data, h5py.Dataset) or data.shape != shape or data.dtype != dataset.dtype:
                raise FileFormatError(f"the part does not hold {shape} values of {dataset.dtype}; it is damaged")
            yield data, place
        filled += math.prod(shape)
    if dataset.is_virtual and filled != dataset.size:
        raise FileFormatError(f"{dataset.name} joins {filled} of {dataset.size} values; the file is damaged")


def _is_plain(name: str) -> bool:
    """Return True if a name is that of a file in the same folder, and not of the file itself or of a folder."""
    return Path(name).name == name and name not in ("", ".", "..")


def _part_path(file: Group, name: str) -> Path:
    """Return the path of a part; any other file that a virtual dataset names is refused."""
    path = Path(file.file.filename)
    if not _is_plain(name) or name == path.name:
        raise FileFormatError(f"the grid is joined from {name!r}; expected parts with plain names beside the file")
    return path.with_name(name)


def _check_part_sizes(file: Group, dataset: Any) -> None:
    """Refuse a grid that is larger than its parts, before any memory is asked for."""
    sources = dataset.virtual_sources() if dataset.is_virtual else []
    paths = {_part_path(file, source.file_name) for source in sources}
    n_bytes = sum(path.stat().st_size for path in paths if path.is_file())
    if sources and all(path.is_file() for path in paths) and dataset.nbytes > n_bytes * MAX_RATIO:
        raise FileFormatError(f"{dataset.name} claims {dataset.nbytes} bytes, its parts hold {n_bytes}; it is damaged")


@codec(PotentialGrid, kind="grid", in_root=True)
class _GridCodec:
    """A VTKHDF ImageData, see below."""

    @staticmethod
    def write(group: Group, grid: PotentialGrid) -> None:
        write_grid(group, grid)

    @staticmethod
    def read(group: Group) -> PotentialGrid:
        return read_grid(group)


def _numbers(group: Group, name: str, count: int) -> np.ndarray:
    value = group.attrs.get(name)
    if not isinstance(value, np.ndarray) or value.shape != (count,) or value.dtype.kind not in "if":
        raise FileFormatError(f"the attribute {name} of {group.name} is {value!r}; expected {count} numbers")
    return value
