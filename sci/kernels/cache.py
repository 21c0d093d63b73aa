"""The folder of compiled kernels, and the lock that lets one process of a node compile."""

from __future__ import annotations

import functools
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sci.options import get as get_option

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return the folder of compiled kernels: the option `cache_dir`, or the user's cache folder."""
    variables = (os.environ.get(name) for name in ("XDG_CACHE_HOME", "HOME"))
    return _cache_folder(get_option("cache_dir"), *variables)


@functools.cache
def _cache_folder(chosen: str | None, xdg: str | None, home: str | None) -> Path:
    """Work the folder out once for what it depends on: a launch asks for it."""
    if chosen:
        return Path(chosen)
    return Path(xdg or Path.home() / ".cache") / "sci" / "kernels"


def writable(folder: Path) -> Path:
    """Make `folder`; where that is refused, warn once and return a folder that lasts as long as the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
        reason = "it is not writable"
    except OSError as error:
        reason = str(error)
    return _scratch_cache(folder, reason)


@functools.cache
def _scratch_cache(folder: Path, reason: str) -> Path:
    warnings.warn(
        f"compiled kernels cannot be kept in {folder} ({reason}): every process compiles its own; "
        "set SCI_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=2,
    )
    scratch = tempfile.TemporaryDirectory(prefix="sci-kernels-")
    _SCRATCH.append(scratch)
    return Path(scratch.name)


_SCRATCH: list[tempfile.TemporaryDirectory[str]] = []
"""Held until the process ends, which removes them."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that of the processes of a node one compiles; without locks each compiles its own."""
    try:
        import fcntl

        handle = path.open("w")
        fcntl.flock(handle, fcntl.LOCK_EX)
    except (ImportError, OSError):
        yield
        return
    with handle:
        yield
