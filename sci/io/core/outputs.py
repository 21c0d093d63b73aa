"""Names of outputs: one writer each, nothing replaced unasked, and errors that name the fix."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sci.distributed import Comm, agreed, rank_of, release_file, watch_file
from sci.errors import DiskFullError, FileFormatError, InvalidValueError

__all__ = [
    "exists_error",
    "free_space",
    "is_full",
    "is_too_long",
    "mode_of",
    "reason_of",
    "reserve",
    "too_long",
    "what_is",
    "write_error",
    "writing",
]

_FULL = {
    errno.EDQUOT: "your quota on this file system is used up",
    errno.EFBIG: "the file is larger than this process may write (ulimit -f)",
    errno.ENOSPC: "the disk is full",
}
"""Errors of the system for a file that does not fit, in words."""
_REMEDIES = {
    errno.EDQUOT: "remove files of yours (`quota -s` tells what counts)",
    errno.EFBIG: "raise the limit",
    errno.ENOSPC: "free some space",
}


@dataclass
class _Hold:
    """A name that this process holds: by which lock, process and thread, how often, and whether it is being written."""

    descriptor: int | None
    process: int
    thread: int
    depth: int = 1
    writing: bool = False


_holds: dict[Path, _Hold] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def reserve(path: str | Path, *, overwrite: bool = False, comm: Comm = None) -> Iterator[None]:
    """Hold the name of an output for the length of a block, so that a long computation does not end in a refusal.

    In the block, this process writes the file as often as it likes, without `overwrite=`; every other writer of that
    name is refused, whether a command or a script. A process that ends, or is killed, holds nothing.

    Parameters
    ----------
    path : path
        Links are followed.
    overwrite : bool
        Allow a file that exists to be replaced, for example the checkpoint of a training that is continued.
    comm : mpi4py communicator, optional
        Rank 0 holds the name.

    Returns
    -------
    context manager

    Raises
    ------
    InvalidValueError
        On every rank, if the file exists and `overwrite` is False, or if another process or thread writes it.
    FileFormatError
        On every rank, if the folder is missing or not writable, `path` is a folder, a device, a pipe or a socket, or
        its name is too long.

    Notes
    -----
    Collective over `comm`. The name is locked by `fcntl` on a file `.name.<8 hex digits>.lock` beside it, which also
    works on NFS; the output itself is never locked, so readers stop no writer. On a file system without locks, only the
    writers within one process are kept apart.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sci.io import reserve, save
    >>> from sci.potentials import Particles
    >>> path = pathlib.Path(tempfile.mkdtemp(), "ions.h5")
    >>> with reserve(path):
    ...     for charge in (1.0, 2.0):
    ...         save(path, Particles([[0.0, 0.0, 0.0]], [charge]))
    >>> with reserve(path):
    ...     pass
    Traceback (most recent call last):
    sci.errors.InvalidValueError: ...ions.h5 exists; choose another name, or replace it with overwrite=True
    """
    with contextlib.ExitStack() as stack:
        with agreed(comm, "reserve") as agreement:
            agreement.same(path=str(path), overwrite=overwrite)
            if rank_of(comm) == 0:
                stack.enter_context(_held(Path(path), overwrite))
        yield


@contextlib.contextmanager
def writing(path: Path, overwrite: bool) -> Iterator[tuple[Path, bool]]:
    """Hold a name while its file is written; yield the file that links lead to, and whether it may be replaced.

    Raises
    ------
    InvalidValueError, FileFormatError
        As `reserve`.
    """
    with contextlib.ExitStack() as stack:
        with _guard:
            hold = _present(_place(path))
            if hold is not None:  # the block of a reservation, in any thread
                _require_idle(path, hold)
                hold.writing = True
        if hold is None:
            hold = stack.enter_context(_held(path, overwrite))
            hold.writing = True
        else:
            overwrite = True
        try:
            yield _place(path), overwrite
        finally:
            hold.writing = False


@contextlib.contextmanager
def _held(path: Path, overwrite: bool) -> Iterator[_Hold]:
    place = _place(path)
    with _guard:
        hold = _present(place)
        if hold is None:
            hold = _holds[place] = _Hold(_lock(path, place), os.getpid(), threading.get_ident())
        elif hold.thread == threading.get_ident() and not hold.writing:
            hold.depth += 1
        else:
            raise _busy(path)
    try:
        if hold.depth == 1:
            _require_free(path, place, overwrite)
        yield hold
    finally:
        with _guard:
            hold.depth -= 1
            if hold.depth == 0:
                _unlock(place, hold.descriptor)
                _holds.pop(place, None)


def _place(path: Path) -> Path:
    """Return the file that a name leads to."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise write_error(path, error) from error


def _present(place: Path) -> _Hold | None:
    """Return the hold of this process on a name, if it has one; that of a parent, before a fork, is none."""
    hold = _holds.get(place)
    if hold is not None and hold.process != os.getpid():
        del _holds[place]
        return None
    return hold


def _require_idle(path: Path, hold: _Hold) -> None:
    if hold.writing:
        raise _busy(path)


def _busy(path: Path) -> InvalidValueError:
    return InvalidValueError(f"{path}: another process or thread writes this file; wait for it, or end it")


def _require_free(path: Path, place: Path, overwrite: bool) -> None:
    """Refuse a name that is taken, or that no file can have."""
    try:
        place.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise write_error(path, error) from error
    if not place.is_file():
        raise FileFormatError(f"{path}: {what_is(place)}; expected the name of a file to write")
    if not overwrite:
        raise exists_error(path)


def exists_error(path: Path) -> InvalidValueError:
    """Return the error of a name that is taken."""
    return InvalidValueError(f"{path} exists; choose another name, or replace it with overwrite=True")


def _lock_name(place: Path) -> Path:
    return place.with_name(f".{place.name[:50]}.{zlib.crc32(place.name.encode()):08x}.lock")


def _lock(path: Path, place: Path) -> int | None:
    """Lock a name, before anybody asks whether it exists; return the descriptor, None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    lock = _lock_name(place)
    while True:
        descriptor = _open_lock(path, lock)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == lock.stat().st_ino:
                watch_file(lock)
                return descriptor
        except FileNotFoundError:
            pass  # whoever held it has just removed it
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise _busy(path) from error
            lock.unlink(missing_ok=True)  # a file system without locks
            return None
        os.close(descriptor)


def _open_lock(path: Path, lock: Path) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if isinstance(error, PermissionError) and os.path.exists(lock):
            raise FileFormatError(
                f"{path}: the lock {lock} belongs to another user; wait for them, or have it removed if nobody writes"
            ) from error
        raise write_error(path, error) from error


def _unlock(place: Path, descriptor: int | None) -> None:
    if descriptor is not None:
        release_file(_lock_name(place))
        with contextlib.suppress(OSError):
            _lock_name(place).unlink()
        os.close(descriptor)


def mode_of(path: Path) -> int | None:
    """Return the mode of a path, and None where nothing is.

    Other errors of the system are raised, of permissions and of names too long; `Path.is_file` hides them from Python
    3.14 on.
    """
    try:
        return path.stat().st_mode
    except ValueError:  # a name with a zero byte
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def what_is(path: Path) -> str:
    """Return a phrase for a path that is no regular file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return "there is no such file"
    kinds = {stat.S_IFDIR: "directory", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return f"this is a {kinds.get(stat.S_IFMT(mode), 'device')}"


def free_space(folder: Path) -> int:
    """Return the bytes that are free for this user on the file system of a folder; a quota may leave less."""
    return shutil.disk_usage(folder).free


def is_full(error: Exception) -> bool:
    """Return True for an error of a disk that is full, or of a quota that is used up."""
    return _used_up(error) is not None


def _used_up(error: Exception) -> int | None:
    """Return the number of an error of space that is used up; None for another. HDF5 tells it as text alone."""
    text = str(error)
    return next((n for n in _FULL if getattr(error, "errno", None) == n or os.strerror(n) in text), None)


def write_error(path: Path, error: Exception, n_bytes: int = 0) -> FileFormatError:
    """Return the error of a failed write, with the space that is needed if the disk is full."""
    number = _used_up(error)
    if number is not None:
        # What is free on the disk says nothing of a quota or a limit.
        free = f", {_size(free_space(path.parent))} free in {path.parent}" if number == errno.ENOSPC else ""
        needed = f"{_size(n_bytes)} needed" if n_bytes else "more space is needed"
        return DiskFullError(f"{path}: {_FULL[number]}: {needed}{free}; {_REMEDIES[number]} or write to another folder")
    if is_too_long(error):
        return too_long(path)
    if not isinstance(error, PermissionError) and not path.parent.is_dir():
        what = "is a file" if path.parent.exists() else "does not exist; create it first"
        return FileFormatError(f"{path}: the folder {path.parent} {what}")
    return FileFormatError(f"{path}: cannot be written ({reason_of(error)}); check the folder and its permissions")


def is_too_long(error: Exception) -> bool:
    """Return True for an error of a name that is longer than a file system takes."""
    return getattr(error, "errno", None) == errno.ENAMETOOLONG


def too_long(path: Path) -> FileFormatError:
    """Return the error of a name that is longer than a file system takes."""
    longest = max(path.parts, key=lambda part: len(os.fsencode(part)), default="")
    return FileFormatError(
        f"{longest[:40]}...: a name of {len(os.fsencode(longest))} bytes, in a path of {len(os.fsencode(path))}; file "
        "systems take 255 in a name and 4095 in a path: use a shorter one"
    )


def reason_of(error: Exception) -> str:
    """Return the reason of an error in one line; of HDF5's long messages only the part that came from the system."""
    text = " ".join(str(error).split())[:600]
    reported = re.search(r"error message = '([^']+)'", text)
    if reported:
        return reported.group(1)
    return str(getattr(error, "strerror", None) or text[:300])


def _size(n_bytes: int) -> str:
    unit, size = (1e3, "kB") if n_bytes < 1e6 else (1e6, "MB")
    return f"{n_bytes / unit:.1f} {size}"
