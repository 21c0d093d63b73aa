"""Kernels that a wheel brings compiled, for levels of processors: each from the highest that has it and runs here."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import json
import platform
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sci.distribution import KERNELS_NAME, distribution_name
from sci.kernels.signature import Kernel
from sci.options import CPU_LEVELS
from sci.options import get as get_option

__all__ = ["LEVELS", "prebuilt_damage", "prebuilt_distribution", "prebuilt_level"]

LEVELS = {"x86_64": CPU_LEVELS, "aarch64": ("armv8-a",)}
"""Levels of each machine, in ascending order."""
MANIFEST = "manifest.json"
LIBRARY = "libsci.so"
PROBE = "libcpu.so"
PACKAGE = KERNELS_NAME.replace("-", "_")
"""The package of compiled kernels that a release asks for."""


class _Prebuilt(NamedTuple):
    """A loaded library, its level, and the symbols and digests of sources that it was made of."""

    level: str
    library: ctypes.CDLL
    symbols: dict[str, str]
    digests: dict[str, str]


@functools.cache
def folder() -> Path:
    """Return the folder that holds one folder a level: of this package, or of the package of kernels alone."""
    own = Path(__file__).parents[1] / "_kernels" / "prebuilt"
    if own.is_dir():
        return own
    found = importlib.util.find_spec(PACKAGE)
    return Path(found.origin).parent if found is not None and found.origin else own


def prebuilt_level() -> str | None:
    """Return the highest level of the kernels that came compiled and that are used, or None if there are none.

    Returns
    -------
    str or None
    """
    found = next(_usable(folder(), get_option("cpu_level")), None)
    return found.level if found else None


def prebuilt_distribution() -> str:
    """Return the name of the distribution that the compiled kernels came with.

    Returns
    -------
    str
    """
    return KERNELS_NAME if folder().name == PACKAGE else distribution_name()


def prebuilt_damage() -> str:
    """Name the libraries of the wheel that miss the checksum of their manifest; an empty string if all have it.

    Returns
    -------
    str
    """
    wrong = []
    for path in sorted(folder().glob(f"*/{MANIFEST}")):
        library = path.with_name(LIBRARY)
        found = hashlib.sha256(library.read_bytes()).hexdigest() if library.is_file() else "nothing"
        if found != json.loads(path.read_text())["sha256"]:
            wrong.append(str(library))
    return f"damaged: {', '.join(wrong)}" if wrong else ""


def key(kernel: Kernel) -> str:
    """Return the name of an instance in a manifest."""
    return f"{kernel.file}:{kernel.name}"


def function(kernel: Kernel, digest: str, highest: str | None) -> Any | None:
    """Return a kernel that came compiled from sources of this digest, not above the level `highest`, or None.

    A level has the kernels that are faster there than at the level below.
    """
    for found in _usable(folder(), highest):
        if found.digests.get(kernel.file) == digest and key(kernel) in found.symbols:
            return getattr(found.library, found.symbols[key(kernel)])
    return None


def digests() -> dict[str, str]:
    """Return the digest of each source that the kernels in use came compiled from."""
    return {file: digest for found in _usable(folder(), None) for file, digest in found.digests.items()}


def thread_pool(highest: str | None) -> int | None:
    """Return the address of `sci_run` that came compiled, or None."""
    found = next(_usable(folder(), highest), None)
    return ctypes.cast(found.library.sci_run, ctypes.c_void_p).value if found else None


def _usable(place: Path, highest: str | None) -> Iterator[_Prebuilt]:
    """Load and yield the libraries of the levels that the processor has, the highest first, none above `highest`."""
    levels = _levels(place)
    for level in reversed(levels[: levels.index(highest) + 1] if highest in levels else levels):
        found = _loaded(place, level)
        if found is not None:
            yield found


@functools.cache
def _loaded(place: Path, level: str) -> _Prebuilt | None:
    """Load the library of a level; None if it did not come, or with one warning if it is not whole."""
    path = place / level / LIBRARY
    try:
        manifest = json.loads((place / level / MANIFEST).read_text())
        if path.stat().st_size != manifest["size"]:
            raise OSError(f"it has {path.stat().st_size} bytes of {manifest['size']}")
        return _Prebuilt(level, ctypes.CDLL(str(path)), manifest["symbols"], manifest["digests"])
    except FileNotFoundError:
        return None
    except (OSError, KeyError, ValueError) as error:
        warnings.warn(
            f"the kernels of {path} are not used: {error}; install the package anew", RuntimeWarning, stacklevel=2
        )
        return None


@functools.cache
def _levels(place: Path) -> tuple[str, ...]:
    """Return the levels that the processor has, of those that a wheel for this system can bring."""
    if sys.platform != "linux" or not place.is_dir():
        return ()
    levels = LEVELS.get(platform.machine(), ())
    if len(levels) < 2:
        return levels
    return levels[: ctypes.CDLL(str(place / PROBE)).sci_cpu_level()] if (place / PROBE).is_file() else ()
