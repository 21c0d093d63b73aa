"""Keep compiled kernels in folders that many processes, nodes and users share.

A library ends in 48 bytes: a mark, its length and its SHA-256; what loads libraries ignores them. A library is loaded
only if it belongs to this user or root, nobody else may write to it, and it is whole. What was checked is what is
loaded, through the open file. A new one is written under a temporary name, flushed, and linked to its own.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
import os
import platform
import random
import secrets
import shutil
import stat
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sci.options import get as get_option

__all__ = ["cache_folder"]

LOCK_SECONDS = 60.0
"""How long a process waits for another one that compiles the same kernel."""
_STALE_SECONDS = 3600.0
_MARK = b"SCIKRNL2"
_TAIL = struct.Struct("<8sQ32s")
_loads = itertools.count()


def cache_folder() -> Path:
    """Return the folder of compiled kernels: the option `cache_dir`, or the user's cache folder.

    Without a home folder it lies in the folder of temporary files.

    Returns
    -------
    Path
    """
    variables = (os.environ.get(name) for name in ("XDG_CACHE_HOME", "HOME"))
    return _cache_folder(get_option("cache_dir"), *variables)


@functools.cache
def _cache_folder(chosen: str | None, xdg: str | None, home: str | None) -> Path:
    """Work the folder out once for what it depends on: a launch asks for it."""
    if chosen or xdg:
        return Path(chosen) if chosen else Path(str(xdg)) / "sci" / "kernels"
    try:
        return Path.home() / ".cache" / "sci" / "kernels"
    except RuntimeError:
        _warn_once(
            f"no home folder: compiled kernels are kept in {local_folder()}; set SCI_CACHE_DIR to another folder"
        )
        return local_folder()


def local_folder() -> Path:
    """Return the folder of this user among the node's temporary files: where libraries go that the cache refuses."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    return Path(tempfile.gettempdir()) / f"sci-kernels-{user}"


@functools.cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)


def seal(library: bytes) -> bytes:
    """Return a library with its length and checksum behind it."""
    return library + _TAIL.pack(_MARK, len(library), hashlib.sha256(library).digest())


def _damage(data: bytes) -> str | None:
    """Return the fault of a sealed library, or None."""
    if len(data) < _TAIL.size:
        return f"it has {len(data)} bytes"
    mark, length, digest = _TAIL.unpack(data[-_TAIL.size :])
    if mark != _MARK or length != len(data) - _TAIL.size:
        return "it is cut, or no library of this cache"
    return None if hashlib.sha256(data[: -_TAIL.size]).digest() == digest else "its checksum is wrong"


def _distrust(handle: int) -> str | None:
    """Return why an open file is not to be trusted, or None."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    if os.fstatvfs(handle).f_flag & os.ST_RDONLY:  # an image: owners may be mapped to nobody, and none can write
        return None
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}"
    return "others may write to it" if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else None


def load(path: Path, repair: bool = False) -> ctypes.CDLL | None:
    """Load a library, or return None if there is none that is whole and to be trusted; warn once if there is another.

    With `repair` a damaged file is removed, so that a new one can take its place.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        _warn_once(f"the compiled kernel {path} is not used: {error.strerror}")
        return None
    try:
        distrust = _distrust(handle) if os.name == "posix" else None
        if distrust:
            _warn_once(
                f"the compiled kernel {path} is not used, because {distrust}; set SCI_CACHE_DIR to a folder of yours"
            )
            return None
        with open(handle, "rb", closefd=False) as file:
            damage = _damage(file.read())
        if damage is None:
            return _loaded(handle, path)
        _warn_once(f"the compiled kernel {path} is damaged ({damage}) and compiled again")
        if repair:
            path.unlink(missing_ok=True)
        return None
    except OSError as error:
        _warn_once(f"the compiled kernel {path} cannot be loaded: {error}")
        return None
    finally:
        os.close(handle)


def _loaded(handle: int, path: Path) -> ctypes.CDLL:
    """Load what is open, not what has the name by now."""
    if not Path("/proc/self/fd").is_dir():
        return ctypes.CDLL(str(path))
    # A library is known by the name that it was loaded by, and numbers of files come again: a name of its own for each.
    name = "".join("/." if bit == "1" else "/" for bit in f"{next(_loads):b}")
    return ctypes.CDLL(f"/proc/self/fd{name}/{handle}")


def find(folders: Sequence[Path], pattern: str) -> ctypes.CDLL | None:
    """Load the first library that fits: `pattern` is a name, or one with `*` for the compiler."""
    for folder in folders:
        names = [folder / pattern] if "*" not in pattern else sorted(folder.glob(pattern))
        for path in names:
            library = load(path)
            if library is not None:
                return library
    return None


def build(folders: Sequence[Path], name: str, make: Callable[[Path], Path]) -> ctypes.CDLL:
    """Make a library by `make(work folder)`, once for all processes, and keep it in the first folder that takes it."""
    made: Path | None = None
    with _work_folder() as work:
        for folder in folders:
            reason = _refusal(folder)
            if reason:
                _tell_refusal(folder, reason)
                continue
            with _turn(folder / f"{name}.lock"):
                library = load(folder / name, repair=True)
                if library is not None:
                    return library
                made = made or make(work)
                try:
                    _publish(folder / name, made)
                except OSError as error:
                    _tell_refusal(folder, error.strerror or str(error))
                else:
                    return load(folder / name) or ctypes.CDLL(str(made))
        return ctypes.CDLL(str(made or make(work)))  # stays loaded when the file is gone


@contextmanager
def _work_folder() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="sci-kernel-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refusal(folder: Path) -> str | None:
    """Make a folder; return why nothing can be written to it, or None."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None if os.access(folder, os.W_OK | os.X_OK) else "it is not writable"


def _tell_refusal(folder: Path, reason: str) -> None:
    _warn_once(
        f"compiled kernels cannot be kept in {folder} ({reason}), and go to {local_folder()}; set SCI_CACHE_DIR to a "
        "folder that can be written"
    )


def _publish(target: Path, made: Path) -> None:
    """Give a library its name when all of it is on disk; a valid one of that name, which may be in use, stays."""
    temporary = target.with_name(f".{target.name}.{platform.node()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(seal(made.read_bytes()))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, target)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
        _sweep(target.parent)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Wait until no other process compiles this kernel, at most `LOCK_SECONDS`; go on where there are no locks."""
    if sys.platform == "win32":
        yield
        return
    try:
        handle: Any = open(path, "a+b", buffering=0)  # noqa: SIM115 - nothing is left to write when it is closed
    except OSError:
        yield
        return
    with handle:
        _wait(handle, path)
        yield


def _wait(handle: Any, path: Path) -> None:
    import fcntl

    end, pause = time.monotonic() + LOCK_SECONDS, 0.02
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                handle.seek(0)
                _warn_once(
                    f"process {os.getpid()} on {platform.node()} waited {LOCK_SECONDS:.0f} s for "
                    f"{handle.read().decode() or 'another one'}, which holds {path}; it compiles the kernel itself"
                )
                return
            time.sleep(pause * (0.5 + random.random()))
            pause = min(2 * pause, 1.0)
        except OSError:  # a file system without locks
            return
        else:
            with suppress(OSError):  # a quota that is used up; who waits learns no name
                handle.truncate(0)
                handle.write(f"process {os.getpid()} on {platform.node()}".encode())
            return
