"""Files that appear under their name complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from sci.errors import FileFormatError, SciError

__all__ = ["reason_of", "replacing", "sync", "write_error"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def replacing(path: str | Path, n_bytes: int = 0) -> Iterator[Path]:
    """Yield a temporary name beside `path`; the file written there replaces `path` if the block succeeds.

    Parameters
    ----------
    path : path
    n_bytes : int
        Space that will be needed, checked beforehand and named in the message.

    Raises
    ------
    FileFormatError
        If the folder is missing or not writable, `path` is a folder, or the disk is full.

    Notes
    -----
    The file is flushed to the disk before it is renamed. After an exception the temporary file is removed; after a
    kill it stays, as `.name.<8 hex digits>.tmp`, and nothing is found under the final name that was not there before.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        if path.is_dir():
            raise FileFormatError(f"{path}: this is a directory; expected the name of a file to write")
        if shutil.disk_usage(path.parent).free < n_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except SciError:
        raise
    except (OSError, RuntimeError) as error:
        raise write_error(path, error, n_bytes) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_error(path: Path, error: Exception, n_bytes: int = 0) -> FileFormatError:
    """Return the error of a failed write, with the space that is needed if the disk is full."""
    text = str(error)
    code = getattr(error, "errno", None)
    if code in _FULL or any(os.strerror(number) in text for number in _FULL):
        free = shutil.disk_usage(path.parent).free
        return FileFormatError(
            f"{path}: the disk is full or its quota is used up: {_size(n_bytes)} needed, {_size(free)} free in "
            f"{path.parent}; free some space or write to another folder"
        )
    if not isinstance(error, PermissionError) and not path.parent.is_dir():
        what = "is a file" if path.parent.exists() else "does not exist; create it first"
        return FileFormatError(f"{path}: the folder {path.parent} {what}")
    return FileFormatError(f"{path}: cannot be written ({reason_of(error)}); check the folder and its permissions")


def reason_of(error: Exception) -> str:
    """Return the reason of an error in one line; of HDF5's long messages only the part that came from the system."""
    text = " ".join(str(error).split())[:600]
    reported = re.search(r"error message = '([^']+)'", text)
    if reported:
        return reported.group(1)
    return str(getattr(error, "strerror", None) or text[:300])


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes else "more"
