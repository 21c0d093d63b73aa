"""Datasets with a checksum and texts of fixed length, and reads that trust nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from sci.backend import to_host
from sci.errors import FileFormatError, InvalidValueError, SciError, ShapeError
from sci.io.core.external import check_external, check_link, external_bytes, virtual_bytes

__all__ = [
    "MAX_RATIO",
    "PACKED",
    "Group",
    "axis_dims",
    "check_size",
    "crc32",
    "is_packed",
    "member",
    "member_names",
    "name_axes",
    "packed_about",
    "packed_damages",
    "read_array",
    "read_foreign",
    "read_text",
    "unpack_with",
    "walk",
    "write_array",
    "write_text",
]

MAX_RATIO = 1100
"""A little more than the best that deflate can do, 1,032 to 1."""

_MAX_LINKS = 16

Group = Any

PACKED = "compressed"
"""Attribute of a group that stands in place of a dataset, and holds its numbers compressed."""

_unpackers: list[Callable[[], Callable[[Group], Any]]] = []


def unpack_with(imported: Callable[[], Callable[[Group], Any]]) -> None:
    """Register what imports the function that decodes, to memory, the dataset that a group with `PACKED` stands for.

    Compression is imported with the first such group.
    """
    _unpackers[:] = [imported]


def is_packed(item: Any) -> bool:
    """Return True for a group that stands in place of a compressed dataset."""
    return isinstance(item, h5py.Group) and PACKED in item.attrs


@contextmanager
def packed_damages(group: Group) -> Iterator[None]:
    """Name the group in errors of contents that do not fit together."""
    try:
        yield
    except FileFormatError:
        raise
    except (SciError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FileFormatError(f"{group.name} is no compressed array ({error}); the file is damaged") from error


def packed_about(group: Group, attribute: str = PACKED) -> dict[str, Any]:
    """Return shape, dtype, bound and error of a compressed array.

    Raises
    ------
    FileFormatError
    """
    with packed_damages(group):
        about = json.loads(read_text(group, attribute))
        shape = about["shape"]
        if not all(isinstance(n, int) and n >= 0 for n in shape) or about["dtype"] not in ("float32", "float64"):
            raise ValueError(f"shape {shape}, dtype {about['dtype']}")
        return dict(about)


def member(group: Group, name: str, depth: int = 0) -> Any:
    """Return a dataset or group of an open file, and None if it is missing; a compressed dataset is decoded to memory.

    Raises
    ------
    FileFormatError
        For a link, which may lead to any other file of this machine, and for data that lie outside of the file, unless
        the option `external_data` is on.
    """
    for part in name.strip("/").split("/"):
        if not isinstance(group, h5py.Group):
            return None
        link = group.get(part, getlink=True)
        if link is None:
            return None
        where = f"{group.name.rstrip('/')}/{part}"
        if not isinstance(link, h5py.HardLink):
            check_link(group.file, where, link)
            if isinstance(link, h5py.SoftLink):
                if depth == _MAX_LINKS:
                    raise FileFormatError(f"{where} leads through more than {_MAX_LINKS} links; it has no end")
                group = member(group.file if link.path.startswith("/") else group, link.path, depth + 1)
                continue
        group = group[part]
        if isinstance(group, h5py.Dataset):
            check_external(group, where)
        elif is_packed(group):
            group = _unpackers[0]()(group)
    return group


def member_names(group: Group) -> list[str]:
    """Return the names of a group's members in order.

    HDF5 gives them as they are stored, and Python sorts them. HDF5 1.14 sorts in a table: where a damaged group holds
    fewer members than it says, it frees places of the table that it never filled, which ends the process.
    """
    found: list[bytes] = []
    group.id.links.iterate(found.append, order=h5py.h5.ITER_NATIVE)
    return sorted(name.decode("utf-8", "surrogateescape") for name in found)


def walk(group: Group) -> Iterator[tuple[str, Any]]:
    """Yield the groups and datasets below a group, each once and with its path from there; links are left out."""
    seen = {h5py.h5o.get_info(group.id).addr}

    def below(group: Group, prefix: str) -> Iterator[tuple[str, Any]]:
        for name in member_names(group):
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            yield prefix + name, item
            if isinstance(item, h5py.Group):
                yield from below(item, f"{prefix}{name}/")

    return below(group, "")


def write_text(item: Any, name: str, text: str) -> None:
    """Write a text attribute of fixed length.

    Texts of variable length lie in HDF5's global heap, which has no checksum: a flipped bit there can send the library
    into an endless loop. Fixed ones lie in the header, which has one.

    Parameters
    ----------
    item : h5py object
        Whose attribute it is.
    name : str
        Of the attribute.
    text : str
        Without NUL characters.
    """
    encoded = text.encode()
    dtype = h5py.string_dtype("ascii" if text.isascii() else "utf-8", max(1, len(encoded)))
    item.attrs.create(name, np.bytes_(encoded), dtype=dtype)


def read_text(item: Any, name: str, default: str | None = None) -> str:
    """Return a text attribute of fixed length.

    Parameters
    ----------
    item : h5py object
        Whose attribute it is.
    name : str
        Of the attribute.
    default : str, optional
        Returned where there is none; an error unless given.

    Returns
    -------
    str
        The text.

    Raises
    ------
    FileFormatError
        If it is missing and there is no default, or is not such a text.
    """
    if name not in item.attrs:
        if default is None:
            raise FileFormatError(f"the attribute {name} of {item.name} is missing; expected text")
        return default
    if item.attrs.get_id(name).get_type().get_class() != h5py.h5t.STRING:
        raise FileFormatError(f"the attribute {name} of {item.name} is {item.attrs[name]!r}; expected text")
    if item.attrs.get_id(name).get_type().is_variable_str():
        raise FileFormatError(f"the attribute {name} of {item.name} has variable length; expected text of fixed length")
    return bytes(item.attrs[name]).decode()


def crc32(array: np.ndarray, start: int = 0) -> int:
    """Return the CRC-32 of an array's bytes in C order, continued from `start`."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, start)


def write_array(group: Group, name: str, array: Any, units: str = "", dims: Sequence[str] = ()) -> None:
    """Write numbers, or a tuple of str, as a contiguous dataset with a checksum.

    Parameters
    ----------
    group : h5py.Group
        Where it lies in the file.
    name : str
        Of the dataset.
    array : array, number, or tuple of str
        What to write.
    units : str
        "1" for numbers without a dimension; "" where nobody knows.
    dims : sequence of str
        Names of the axes, which other programs show; an axis has one length throughout the group. Made of the lengths
        unless given. A dataset of one axis that has its own name gives the places on the axes of that name.

    Raises
    ------
    ShapeError
        For more or fewer names than axes.
    InvalidValueError
        For NaN and Inf, which no reader would take.
    """
    if isinstance(array, tuple) and array and isinstance(array[0], str):
        encoded = [text.encode() for text in array]
        data: np.ndarray = np.array(encoded, dtype=f"S{max(1, *map(len, encoded))}")
    else:
        host = to_host(array)
        data = np.ascontiguousarray(host).reshape(host.shape)  # a number stays one
        if data.dtype.kind in "fc" and not np.isfinite(data).all():
            raise InvalidValueError(f"{group.name.rstrip('/')}/{name} holds NaN or Inf, which cannot be read again")
    dataset = group.create_dataset(name, data=data)
    dataset.attrs["crc32"] = crc32(data)
    if units:
        write_text(dataset, "units", units)
    if dims:
        name_axes(dataset, dims)
    dataset.flush()  # when it is closed instead, an error of a full disk is lost


def axis_dims(ndim: int) -> tuple[str, ...]:
    """Return names for the axes of a grid: axis_0, axis_1, ..."""
    return tuple(f"axis_{axis}" for axis in range(ndim))


def name_axes(dataset: Any, dims: Sequence[str]) -> None:
    """Note the names of a dataset's axes; when the file is closed they become dimension scales.

    Raises
    ------
    ShapeError
        For more or fewer names than axes.
    """
    if len(dims) != dataset.ndim:
        raise ShapeError(
            f"{dataset.name} has shape {dataset.shape}, and dims {tuple(dims)}; expected one for each axis"
        )
    if dims:
        write_text(dataset, "dims", " ".join(dims))


def read_array(
    group: Group, name: str, shape: Sequence[int | None] | None = (), dtypes: Sequence[str] = ("f8",)
) -> np.ndarray:
    """Return a dataset after checking all that can be checked.

    Parameters
    ----------
    group : h5py.Group
    name : str
    shape : sequence of int or None, optional
        Expected shape; None leaves an axis free, or the whole shape.
    dtypes : sequence of str
        The dtypes that are accepted, as NumPy spells them; "S" is byte strings of any length.

    Returns
    -------
    NumPy array
        The numbers, in the byte order of the machine.

    Raises
    ------
    FileFormatError
        If the dataset is missing, has another shape or dtype, holds NaN or Inf, or fails its checksum.
    """
    label = f"{group.name.rstrip('/')}/{name}"
    dataset = member(group, name)
    if not isinstance(dataset, h5py.Dataset):
        raise FileFormatError(f"the dataset {label} is missing; the file is damaged")
    _check_shape(dataset, label, shape)
    text = dataset.dtype.kind == "S"
    if ("S" if text else dataset.dtype.str[1:]) not in dtypes or dataset.dtype.byteorder == ">":
        raise FileFormatError(f"the dataset {label} has dtype {dataset.dtype}; expected {' or '.join(dtypes)}")
    data: np.ndarray = np.asarray(dataset[()])
    checksum = crc32(data)
    if dataset.attrs.get("crc32", checksum) != checksum:
        raise FileFormatError(f"the dataset {label} fails its checksum; the file is damaged: make it again")
    if not text and not np.isfinite(data).all():
        raise FileFormatError(f"the dataset {label} holds NaN or Inf; the file is damaged: make it again")
    return data


def read_foreign(file: Group, name: str) -> np.ndarray:
    """Return a dataset of real, finite numbers from a file of any program.

    Raises
    ------
    FileFormatError
        If it is missing, does not fit into its file, or holds something else.
    """
    dataset = member(file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise FileFormatError(f"the dataset {name} is missing; found {', '.join(member_names(file)) or 'nothing'}")
    if dataset.dtype.kind not in "biuf":
        raise FileFormatError(f"{name} has dtype {dataset.dtype}; expected real numbers")
    check_size(dataset, name)
    data: np.ndarray = np.asarray(dataset[()])
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise FileFormatError(f"{name} holds NaN or Inf; clean the samples first")
    return data


def _check_shape(dataset: Any, label: str, shape: Sequence[int | None] | None) -> None:
    found = dataset.shape
    if found is None or (
        shape is not None and (len(found) != len(shape) or any(s not in (None, f) for s, f in zip(shape, found)))
    ):
        raise FileFormatError(f"the dataset {label} has shape {found}; expected {shape} (None: any)")
    check_size(dataset, label)


def _limit(dataset: Any) -> int:
    """Return the largest size to which a dataset that is no virtual one can unpack."""
    stored = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize() + external_bytes(dataset))
    return int(stored) * (1 if dataset.chunks is None else MAX_RATIO)


def check_size(dataset: Any, label: str) -> None:
    """Refuse a dataset that would read as more than the file can hold, before any memory is asked for."""
    if dataset.is_virtual:
        stored = limit = sum(_limit(part) for part in virtual_bytes(dataset, label))
    else:
        stored, limit = dataset.id.get_storage_size(), _limit(dataset)
    if dataset.nbytes > limit:
        raise FileFormatError(
            f"the dataset {label} claims {dataset.nbytes} bytes, of which {stored} are stored; it is damaged"
        )
