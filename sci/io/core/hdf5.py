"""The layer over h5py: files with a header, datasets with a checksum, and reads that trust nothing."""

from __future__ import annotations

import contextlib
import json
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import sci
from sci.backend import to_host
from sci.errors import FileFormatError, SchemaVersionError, SciError
from sci.io.core.atomic_write import reason_of, replacing
from sci.io.core.integrity import SEAL_BYTES, check_seal, seal
from sci.options import snapshot

__all__ = [
    "LIBVER",
    "SCHEMA_VERSION",
    "Header",
    "crc32",
    "create",
    "is_foreign",
    "make_header",
    "open_any",
    "open_file",
    "read_array",
    "read_foreign",
    "read_header",
    "read_text",
    "write_array",
    "write_header",
    "write_text",
]

SCHEMA_VERSION = 1
"""Version of the layout of the files that this library writes; it reads this and every older one."""

LIBVER = ("v110", "v110")
"""Bounds of the HDF5 format: its metadata carry checksums, virtual datasets work, and ParaView reads it."""

_MAX_RATIO = 1100
"""A little more than the best that deflate can do, 1,032 to 1."""

Group = Any


@dataclass(frozen=True)
class Header:
    """Root attributes of a file: what it is, who made it, and from what.

    Parameters
    ----------
    kind : str
        What the file holds: particles, grid, potential, ...
    units : str
        Units of the contents, for people.
    command : str
        The command or call that made the file; empty if unknown.
    parent_uuid : str
        The uuid of the file that this one was made from; empty if none.
    uuid, created, sci_version, schema_version, options
        Filled in by `make_header`; `created` is in UTC, `options` are the settings of `sci.options`.
    """

    kind: str
    units: str
    command: str
    parent_uuid: str
    uuid: str
    created: str
    sci_version: str
    schema_version: int = SCHEMA_VERSION
    options: dict[str, Any] = field(default_factory=dict)


def make_header(kind: str, units: str, command: str | None = None, parent_uuid: str | None = None) -> Header:
    """Return a new header with the present time, a new uuid and the present options."""
    return Header(
        kind=kind,
        units=units,
        command=command or "",
        parent_uuid=parent_uuid or "",
        uuid=str(uuid.uuid4()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sci_version=sci.__version__,
        options=snapshot(),
    )


def write_header(file: Group, header: Header) -> None:
    """Write `header` as the root attributes of an open file."""
    write_text(file, "format", "sci")
    for name, value in asdict(header).items():
        if name == "schema_version":
            file.attrs[name] = value
        else:
            write_text(file, name, json.dumps(value) if name == "options" else value)


@contextlib.contextmanager
def create(path: str | Path, header: Header, n_bytes: int = 0, *, sealed: bool = False) -> Iterator[Group]:
    """Yield a new open file with its header written; it appears under `path` when the block succeeds.

    Parameters
    ----------
    path : path
    header : Header
    n_bytes : int
        The space that will be needed.
    sealed : bool
        Put a checksum of the whole file in front of it. For files with virtual datasets: HDF5 keeps where their parts
        lie in its global heap, which has no checksum, and a flipped bit there can crash it.

    Raises
    ------
    FileFormatError
        If the folder cannot be written to or the disk is full.
    """
    with replacing(path, n_bytes) as temporary:
        with h5py.File(temporary, "x", libver=LIBVER, userblock_size=SEAL_BYTES if sealed else None) as file:
            write_header(file, header)
            yield file
        if sealed:
            seal(temporary)


@contextlib.contextmanager
def open_any(path: str | Path) -> Iterator[Group]:
    """Yield an open HDF5 file of any program; whatever fails in the block is a FileFormatError that names the file.

    Raises
    ------
    FileFormatError
        For a missing or damaged file.
    MemoryError
        With the file and the size that was asked for.
    """
    path = Path(path)
    try:
        if not path.is_file():
            what = "this is a directory" if path.is_dir() else "there is no such file"
            raise FileFormatError(f"{path}: {what}; expected an HDF5 file")
        with h5py.File(path, "r") as file:
            yield file
    except SciError as error:
        text = str(error)
        kept = type(error) if isinstance(error, FileFormatError) else FileFormatError
        raise kept(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}; read it on a machine with more memory") from error
    except Exception as error:  # h5py raises nearly every class for damaged files
        if isinstance(error, PermissionError):
            raise FileFormatError(f"{path}: cannot be read ({reason_of(error)}); check its permissions") from error
        if "unable to lock file" in str(error):
            raise FileFormatError(f"{path}: another process is writing it; wait for it, or end it") from error
        raise FileFormatError(f"{path}: damaged, or not an HDF5 file ({reason_of(error)}); make it again") from error


@contextlib.contextmanager
def open_file(path: str | Path, kinds: Sequence[str] | None = None) -> Iterator[tuple[Group, Header]]:
    """Yield an open file of ours and its checked header; see `open_any`.

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file, or one of another kind.
    SchemaVersionError
        For a file of a newer schema.
    """
    check_seal(Path(path))
    with open_any(path) as file:
        header = _checked_header(file)
        if kinds is not None and header.kind not in kinds:
            raise FileFormatError(f"the file holds kind {header.kind!r}; expected {' or '.join(kinds)}")
        yield file, header


def is_foreign(path: str | Path) -> bool:
    """Tell whether a readable HDF5 file lacks our header; of any other file `open_file` says what is wrong."""
    try:
        with h5py.File(path, "r") as file:
            return "format" not in file.attrs
    except Exception:  # h5py raises nearly every class for damaged files
        return False


def read_foreign(file: Group, name: str) -> np.ndarray:
    """Return a dataset of real, finite numbers from a file of any program.

    Raises
    ------
    FileFormatError
        If it is missing, does not fit into its file, or holds something else.
    """
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise FileFormatError(f"the dataset {name} is missing; found {', '.join(file) or 'nothing'}")
    if dataset.dtype.kind not in "biuf":
        raise FileFormatError(f"{name} has dtype {dataset.dtype}; expected real numbers")
    _check_size(dataset, name)
    data: np.ndarray = np.asarray(dataset[()])
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise FileFormatError(f"{name} holds NaN or Inf; clean the samples first")
    return data


def read_header(path: str | Path) -> Header:
    """Return the header of a file without reading its contents.

    Raises
    ------
    FileFormatError, SchemaVersionError
    """
    with open_file(path) as (_, header):
        return header


def _checked_header(file: Group) -> Header:
    try:
        ours = read_text(file, "format") == "sci"
    except FileFormatError:
        ours = False
    if not ours:
        raise FileFormatError("this HDF5 file was not written by sci; expected the root attribute format='sci'")
    version = file.attrs.get("schema_version")
    if not isinstance(version, np.integer) or version < 1:
        raise FileFormatError(f"the attribute schema_version is {version!r}; expected a positive integer")
    if version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"the file has schema version {int(version)}, written by sci {read_text(file, 'sci_version', '?')}; "
            f"this is sci {sci.__version__}, which reads up to {SCHEMA_VERSION}: install a newer version"
        )
    texts = {
        name: read_text(file, name) for name in Header.__annotations__ if name not in ("schema_version", "options")
    }
    settings = json.loads(read_text(file, "options"))
    if not isinstance(settings, dict):
        raise FileFormatError("the attribute options is damaged; expected a JSON object")
    return Header(**texts, schema_version=int(version), options=settings)


def write_text(item: Any, name: str, text: str) -> None:
    """Write a text attribute of fixed length.

    Texts of variable length lie in HDF5's global heap, which has no checksum: a flipped bit there can send the library
    into an endless loop. Fixed ones lie in the header, which has one.
    """
    encoded = text.encode()
    dtype = h5py.string_dtype("ascii" if text.isascii() else "utf-8", max(1, len(encoded)))
    item.attrs.create(name, np.bytes_(encoded), dtype=dtype)


def read_text(item: Any, name: str, default: str | None = None) -> str:
    """Return a text attribute of fixed length.

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


def write_array(group: Group, name: str, array: Any, units: str = "") -> None:
    """Write numbers, or a tuple of str, as a contiguous dataset with a checksum."""
    if isinstance(array, tuple) and array and isinstance(array[0], str):
        encoded = [text.encode() for text in array]
        data: np.ndarray = np.array(encoded, dtype=f"S{max(1, *map(len, encoded))}")
    else:
        host = to_host(array)
        data = np.ascontiguousarray(host).reshape(host.shape)  # a number stays one
    dataset = group.create_dataset(name, data=data)
    dataset.attrs["crc32"] = crc32(data)
    if units:
        write_text(dataset, "units", units)


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

    Raises
    ------
    FileFormatError
        If the dataset is missing, has another shape or dtype, holds NaN or Inf, or fails its checksum.
    """
    label = f"{group.name.rstrip('/')}/{name}"
    dataset = group.get(name)
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


def _check_shape(dataset: Any, label: str, shape: Sequence[int | None] | None) -> None:
    found = dataset.shape
    if found is None or (
        shape is not None and (len(found) != len(shape) or any(s not in (None, f) for s, f in zip(shape, found)))
    ):
        raise FileFormatError(f"the dataset {label} has shape {found}; expected {shape} (None: any)")
    _check_size(dataset, label)


def _check_size(dataset: Any, label: str) -> None:
    """Refuse a dataset that would read as more than the file can hold, before any memory is asked for."""
    stored = dataset.id.get_storage_size()
    limit = min(stored, dataset.file.id.get_filesize()) * (1 if dataset.chunks is None else _MAX_RATIO)
    if dataset.nbytes > limit and not dataset.is_virtual:
        raise FileFormatError(
            f"the dataset {label} claims {dataset.nbytes} bytes, of which {stored} are stored; it is damaged"
        )
