"""The layer over h5py: files that appear complete, and opening them for reading."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py

from sci.errors import DiskFullError, FileFormatError, SciError
from sci.io.core.atomic_write import replacing
from sci.io.core.datasets import Group
from sci.io.core.dimensions import attach_scales
from sci.io.core.header import Header, checked_header, write_header
from sci.io.core.integrity import SEAL_BYTES, check_seal, seal
from sci.io.core.outputs import is_too_long, mode_of, reason_of, too_long, what_is

__all__ = ["LIBVER", "create", "is_foreign", "open_any", "open_file", "read_header"]

LIBVER = ("v110", "v110")
"""Bounds of the HDF5 format: its metadata carry checksums, virtual datasets work, and ParaView reads it."""


@contextlib.contextmanager
def create(
    path: str | Path, header: Header, n_bytes: int = 0, *, sealed: bool = False, overwrite: bool = False
) -> Iterator[Group]:
    """Yield a new open file with its header written; it appears under `path` when the block succeeds.

    Every axis of every dataset then has a dimension scale.

    Parameters
    ----------
    path : path
    header : Header
    n_bytes : int
        The space that will be needed.
    sealed : bool
        Put a checksum of the whole file in front of it. For files with virtual datasets: HDF5 keeps where their parts
        lie in its global heap, which has no checksum, and a flipped bit there can crash it.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InvalidValueError
        If the file exists and is not to be replaced, or another process or thread writes it.
    FileFormatError
        If the folder cannot be written to or the disk is full.
    """
    with replacing(path, n_bytes, overwrite=overwrite) as temporary:
        # Nobody else knows the temporary name, so no lock is needed, which some file systems refuse.
        block = SEAL_BYTES if sealed else None
        with (
            h5py.File(temporary, "x", libver=LIBVER, userblock_size=block, locking=False) as file,
            _diverted_if_it_fails(file),
        ):
            write_header(file, header)
            yield file
            attach_scales(file)
            file.flush()
        if sealed:
            seal(temporary)


@contextlib.contextmanager
def _diverted_if_it_fails(file: Group) -> Iterator[None]:
    """Let HDF5 write the rest of a file to memory after an error: the file will be removed.

    HDF5 2.0 ends the process with a segmentation fault if it cannot write, on a full disk, what it holds at the end.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, ValueError, RuntimeError), _sink() as sink:
            os.dup2(sink.fileno(), file.id.get_vfd_handle())
        raise


def _sink() -> Any:
    """Return a file that is nowhere: in memory where the system has that."""
    return os.fdopen(os.memfd_create("sci"), "wb") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


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
        if not stat.S_ISREG(mode_of(path) or 0):
            raise FileFormatError(f"{path}: {what_is(path)}; expected an HDF5 file")
        with _opened(path) as file:
            yield file
    except DiskFullError:
        raise  # of a file that is written meanwhile
    except SciError as error:
        text = str(error)
        kept = type(error) if isinstance(error, FileFormatError) else FileFormatError
        raise kept(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}; read it on a machine with more memory") from error
    except Exception as error:  # h5py raises nearly every class for damaged files
        if is_too_long(error):
            raise too_long(path) from error
        if isinstance(error, PermissionError):
            raise FileFormatError(f"{path}: cannot be read ({reason_of(error)}); check its permissions") from error
        if "unable to lock file" in str(error):
            raise FileFormatError(
                f"{path}: another process is writing it; wait for it, or end it (HDF5_USE_FILE_LOCKING=FALSE reads it "
                "all the same)"
            ) from error
        raise FileFormatError(f"{path}: damaged, or not an HDF5 file ({reason_of(error)}); make it again") from error


def _opened(path: Path) -> Any:
    """Open a file for reading; without a lock where the file system has none."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        found = re.search(r"unable to lock file, errno = (\d+)", str(error))
        if found is None or int(found[1]) in (errno.EAGAIN, errno.EACCES):
            raise
        return h5py.File(path, "r", locking=False)


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
        header = checked_header(file)
        if kinds is not None and header.kind not in kinds:
            raise FileFormatError(f"the file holds kind {header.kind!r}; expected {' or '.join(kinds)}")
        yield file, header


def is_foreign(path: str | Path) -> bool:
    """Return True if a readable HDF5 file lacks our header; `open_file` explains what is wrong with any other file."""
    try:
        if not Path(path).is_file():
            return False
        with _opened(Path(path)) as file:
            return "format" not in file.attrs
    except Exception:  # h5py raises nearly every class for damaged files
        return False


def read_header(path: str | Path) -> Header:
    """Return the header of a file without reading its contents.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Header

    Raises
    ------
    FileFormatError, SchemaVersionError
    """
    with open_file(path) as (_, header):
        return header
