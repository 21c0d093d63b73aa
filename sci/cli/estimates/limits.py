"""What memory this process may use: by control groups, the machine and resource limits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_memory", "resident"]

UNLIMITED = 1 << 60
"""Limits of control groups from here on mean none."""


def available_memory(root: Path = Path("/")) -> tuple[int, str]:
    """Return the bytes that this process can still get, and what limits them.

    Parameters
    ----------
    root : Path
        Where `proc` and `sys` lie.

    Returns
    -------
    int, str
        The least of: memory that the machine has available, what control groups (version 1 or 2) leave, also those
        around this one, and the limit on the address space (`ulimit -v`).
    """
    found = [*_machine(root), *_groups(root), *_address_space(root)]
    return min(found, default=(UNLIMITED, "no limit is known"))


def resident(root: Path = Path("/")) -> int:
    """Return the bytes of memory that this process holds now; 0 if the system does not say."""
    pages = _numbers(root / "proc/self/statm")
    return pages[1] * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else 0


def _machine(root: Path) -> Iterator[tuple[int, str]]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024, "available on this machine"


def _groups(root: Path) -> Iterator[tuple[int, str]]:
    """Yield what each control group around this process leaves."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit, usage = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # In a container the path may be that outside of it: the group itself is then mounted at the base.
        inside = base / path.strip("/")
        for folder in (inside, *(p for p in inside.parents if p.is_relative_to(base))):
            limits, used = _numbers(folder / limit), _numbers(folder / usage)
            if limits and used and limits[0] < UNLIMITED:
                yield max(0, limits[0] - used[0] + _reclaimable(folder)), "left in the job's memory limit"


def _reclaimable(folder: Path) -> int:
    """Return the bytes of files that a group keeps in memory and gives up when asked."""
    for line in _lines(folder / "memory.stat"):
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _address_space(root: Path) -> Iterator[tuple[int, str]]:
    try:
        import resource
    except ImportError:
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _numbers(root / "proc/self/statm")
    if soft != resource.RLIM_INFINITY and pages:
        yield max(0, soft - pages[0] * os.sysconf("SC_PAGE_SIZE")), "left of the limit on the address space (ulimit -v)"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _numbers(path: Path) -> list[int]:
    """Return the integers in a file; none for "max" or a missing file."""
    return [int(word) for line in _lines(path) for word in line.split() if word.isdecimal()]
