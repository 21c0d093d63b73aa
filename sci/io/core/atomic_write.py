"""Files that appear under their name complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from sci.errors import FileFormatError, SciError

__all__ = ["reason_of", "replacing", "sync", "what_is", "write_error"]

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
        If the folder is missing or not writable, `path` is a folder, a device, a pipe or a socket, or the disk is full.

    Notes
    -----
    A symbolic link is followed: the file that it names is replaced, and the link stays. The new file has mode and owner
    of the old one. It is flushed to the disk before it is renamed. After an exception the temporary file is removed;
    after a kill it stays, as `.name.<8 hex digits>.tmp`, and nothing is found under the final name that was not there
    before.
    """
    path = Path(path)
    try:
        if path.is_symlink():
            path = path.resolve()
    except OSError as error:
        raise write_error(path, error) from error
    # Names are at most 255 bytes; a temporary one is never the reason that a name is too long.
    temporary = path.with_name(f".{path.name[:50]}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        if path.exists() and not path.is_file():
            raise FileFormatError(f"{path}: {what_is(path)}; expected the name of a file to write")
        if shutil.disk_usage(path.parent).free < n_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield temporary
        _keep_owner(path, temporary)
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


def _keep_owner(old: Path, new: Path) -> None:
    """Give a new file the mode, and where that is allowed the owner, of the one that it replaces."""
    if old.exists():
        status = old.stat()
        with contextlib.suppress(PermissionError):
            os.chown(new, status.st_uid, status.st_gid)
        new.chmod(stat.S_IMODE(status.st_mode))


def what_is(path: Path) -> str:
    """Return a phrase for a path that is no regular file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return "there is no such file"
    kinds = {stat.S_IFDIR: "directory", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return f"this is a {kinds.get(stat.S_IFMT(mode), 'device')}"


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
