"""Files that appear under their name complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from sci.distributed import unfinished
from sci.errors import SciError
from sci.io.core.outputs import exists_error, free_space, is_full, write_error, writing

__all__ = ["replacing", "sync"]

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES, errno.EINVAL)
"""What file systems without hard links answer."""


_HEADERS = 65536
"""Bytes that the headers and the smallest blocks of an HDF5 file may take beside its numbers."""


@contextlib.contextmanager
def replacing(path: str | Path, n_bytes: int = 0, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary name beside `path`; the file written there appears as `path` if the block succeeds.

    Parameters
    ----------
    path : path
    n_bytes : int
        Space that will be needed, checked beforehand and named in the message.
    overwrite : bool
        Replace a file that exists; not asked within `sci.io.reserve` of the same name.

    Raises
    ------
    InvalidValueError
        If the file exists and `overwrite` is False, or if another process or thread writes it; before the block.
    FileFormatError
        If the folder is missing or not writable, `path` is a folder, a device, a pipe or a socket, or the disk is full.

    Notes
    -----
    A symbolic link is followed: the file that it names is replaced, and the link stays. The new file has mode and owner
    of the old one. It is flushed to the disk before it is renamed. After an exception, and where `sci.distributed.job`
    ends the process, the temporary file is removed; after a kill it stays, as `.name.<8 hex digits>.tmp`, and nothing
    is found under the final name that was not there before.
    """
    path = Path(path)
    with writing(path, overwrite) as (place, replace):
        # Names are at most 255 bytes; a temporary one is never the reason that a name is too long.
        name = f".{place.name[:50]}.{uuid.uuid4().hex[:8]}.tmp"
        with unfinished(place.with_name(name)) as temporary, _as_ours(path, n_bytes):
            if free_space(place.parent) < n_bytes + (_HEADERS if n_bytes else 0):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield temporary
            _keep_owner(place, temporary)
            sync(temporary)
            _appear(temporary, place, replace)
            sync(place.parent)


@contextlib.contextmanager
def _as_ours(path: Path, n_bytes: int) -> Iterator[None]:
    """Turn the errors of the system and of HDF5 into ours."""
    try:
        yield
    except SciError:
        raise
    except Exception as error:
        if isinstance(error, OSError | RuntimeError) or is_full(error):  # h5py raises nearly every class
            raise write_error(path, error, n_bytes + (_HEADERS if n_bytes else 0)) from error
        raise


def _appear(temporary: Path, place: Path, replace: bool) -> None:
    """Give a file its name. A hard link, unlike a rename, fails if a program that takes no lock made one meanwhile."""
    if not replace:
        try:
            os.link(temporary, place)
            return
        except FileExistsError as error:
            raise exists_error(place) from error
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
    os.replace(temporary, place)


def _keep_owner(old: Path, new: Path) -> None:
    """Give a new file the mode, and where that is allowed the owner, of the one that it replaces."""
    if old.exists():
        status = old.stat()
        with contextlib.suppress(PermissionError):
            os.chown(new, status.st_uid, status.st_gid)
        new.chmod(stat.S_IMODE(status.st_mode))


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk; some file systems cannot flush folders, which is no error."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
