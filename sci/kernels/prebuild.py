"""Compile all kernels into one library for each level of processors, for a wheel of Linux.

`python -m sci.kernels.prebuild FOLDER` fills FOLDER, as the hook of the wheel does with `SCI_PREBUILT=1`. Kernels for
another machine need its compiler: `gcc` of `aarch64-linux-gnu`, for example, or the one that `CC` names.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from sci.errors import InvalidValueError, KernelCompileError
from sci.kernels.compile import HOST_BLOCK, HOST_FLAGS, POOL_FLAGS, function_text, source_digest
from sci.kernels.prebuilt import LEVELS, LIBRARY, MANIFEST, PROBE, key
from sci.kernels.signature import Kernel, every_kernel

__all__ = ["build", "levels_of", "shipped_kernels"]

_FLAGS = (
    *(f for f in HOST_FLAGS if f != "-march=native"),
    *(f"-DSCI_BLOCK={HOST_BLOCK}", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti"),
    *("-fno-asynchronous-unwind-tables", "--param=vect-epilogues-nomask=0"),  # the last entries of a loop one by one
)
# Up to half as large as with -O3, and as fast where it stands: what a wheel weighs is the sum of its levels.
_SMALLER = ("-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic", "-fpeel-loops")
_SMALLER_SOURCES = {
    "x86-64-v3": ("*",),
    "x86-64-v4": ("attention/*", "grid/cycle*.cu", "grid/stencil.cu", "linalg/*", "nn/*", "particles/[cd]*.cu"),
}
# A third smaller again, for a few percent of the time: for processors of before 2017, and for those of before 2013, on
# which nobody waits for the last third of the speed.
_SMALLEST = ("-Os", "-ftree-vectorize", "-fvect-cost-model=dynamic")
_SMALLEST_SOURCES = {
    "x86-64-v2": ("*",),
    "x86-64-v3": (
        "attention/attention.cu",
        "grid/cycle*.cu",
        "grid/stencil.cu",
        "linalg/[bs]*.cu",
        "linalg/polar.cu",
        "nn/*",
        "particles/[cds]*.cu",
        "particles/boxes.cu",
    ),
}
_OF_DEVICES = (
    "attention_tiles.cu",
    "attention_units.cu",
    "brick_lanes.cu",
    "device_mesh.cu",
    "places.cu",
    "nn/steps.cu",
)
_LEFT_TO_LOWER: dict[str, tuple[str, ...]] = {"x86-64-v4": ("grid/multigrid.cu", "grid/incomplete.cu")}
"""Sources that run no faster at a level than at the one below, from which they are taken."""
_LINK = ("-shared", "-pthread", "-Wl,--gc-sections,-z,relro,-z,now", "-s")
# Names that newer C libraries give again, for another header or library: bound to their first version, which every C
# library of the machine has, so that the wheel runs on systems older than the one that built it.
_OLD_NAMES = (
    *("exp", "expf", "log", "logf", "pthread_create", "pthread_detach", "pthread_mutex_trylock", "pthread_once"),
    *("pthread_sigmask", "pthread_attr_setstacksize"),
)
_FIRST_VERSION = {"x86_64": "GLIBC_2.2.5", "aarch64": "GLIBC_2.17"}
_CPU = """
extern "C" int sci_cpu_level() {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 3;
    if (__builtin_cpu_supports("x86-64-v3")) return 2;
    return __builtin_cpu_supports("x86-64-v2") ? 1 : 0;
}
"""


def shipped_kernels(sources: str = "") -> list[Kernel]:
    """Return the instances that a host launches, not those that only devices do.

    Parameters
    ----------
    sources : str
        Patterns of sources, e.g. "particles/*.cu"; all unless given.
    """
    patterns = sources.split() or ["*"]
    return [
        k
        for k in every_kernel()
        if _is_chosen(k.file, patterns) and not k.file.endswith(_OF_DEVICES) and not _panels_of_devices(k)
    ]


def _is_chosen(file: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(file, pattern) for pattern in patterns)


def levels_of(words: str) -> tuple[str, tuple[str, ...]]:
    """Return the machine and its levels that a setting asks for.

    Parameters
    ----------
    words : str
        "1" for this machine, the name of a machine, or levels of one.

    Raises
    ------
    InvalidValueError
        For any other words.

    Examples
    --------
    >>> from sci.kernels.prebuild import levels_of
    >>> levels_of("x86-64-v3 x86-64-v4")
    ('x86_64', ('x86-64-v3', 'x86-64-v4'))
    """
    chosen = [platform.machine()] if words == "1" else words.split()
    for machine, levels in LEVELS.items():
        if chosen == [machine]:
            return machine, levels
        if chosen and set(chosen) <= set(levels):
            return machine, tuple(level for level in levels if level in chosen)
    known = ", ".join((*LEVELS, *(level for levels in LEVELS.values() for level in levels)))
    raise InvalidValueError(f"kernels are compiled for Linux on {known}, not for {' '.join(chosen)!r}")


def _panels_of_devices(kernel: Kernel) -> bool:
    return kernel.file.endswith("chebtuck_points.cu") and kernel.arguments[1] == "8"


def _symbol(kernel: Kernel) -> str:
    return "sci_" + hashlib.sha256(key(kernel).encode()).hexdigest()[:16]


def build(folder: Path, words: str = "1", kernels: Iterable[Kernel] | None = None) -> str:
    """Write a library with a manifest for each level, and `libcpu.so`, which knows the level of an x86-64 processor.

    Parameters
    ----------
    folder : Path
    words : str
        What for, as `levels_of` takes it.
    kernels : iterable of Kernel, optional
        All that hosts launch unless given.

    Returns
    -------
    str
        The machine.

    Raises
    ------
    InvalidValueError
        For words that name no machine or level, or sources that hold no kernel.
    KernelCompileError
    """
    machine, levels = levels_of(words)
    chosen = shipped_kernels() if kernels is None else list(kernels)
    if not chosen:
        raise InvalidValueError("no kernel of hosts lies in the chosen sources")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as work:
        (Path(work) / "versions.h").write_text(_versions(machine))
        (Path(work) / "cpu.cpp").write_text(_CPU)
        if machine == "x86_64":
            _run(machine, "-O2", "-fPIC", "-shared", "-s", f"{work}/cpu.cpp", "-o", str(folder / PROBE))
        for number, level in enumerate(levels):
            left = _LEFT_TO_LOWER.get(level, ()) if number else ()
            own = [kernel for kernel in chosen if not _is_chosen(kernel.file, left)]
            _build_level(folder / level, machine, level, own, Path(work))
    return machine


def _versions(machine: str) -> str:
    return "".join(f'asm(".symver {name},{name}@{_FIRST_VERSION[machine]}");\n' for name in _OLD_NAMES)


def _build_level(folder: Path, machine: str, level: str, kernels: list[Kernel], work: Path) -> None:
    folder.mkdir(exist_ok=True)
    by_file: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        by_file.setdefault(kernel.file, []).append(kernel)
    common = ("-include", f"{work}/versions.h", "-c")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        units = [work / f"{number}.cpp" for number in range(len(by_file))]
        for unit, (file, instances) in zip(units, by_file.items()):
            functions = "".join(function_text(k, _symbol(k)) for k in instances)
            unit.write_text(f'#include "{file}"\n{functions}')
        flags = (*_FLAGS, f"-march={level}", *(f"-I{k.folder}" for k in kernels[:1]), *common)
        more = [_optimization(level, file) for file in by_file]
        list(pool.map(lambda u, m: _run(machine, *flags, *m, str(u), "-o", f"{u}.o"), units, more))
    threads = Path(__file__).parent / "threads.cpp"
    _run(machine, *POOL_FLAGS, *common, str(threads), "-o", f"{work}/threads.o")
    library = folder / LIBRARY
    link = [*_LINK, f"-Wl,-z,{level}"] if machine == "x86_64" else list(_LINK)
    _run(machine, *link, *(f"{u}.o" for u in units), f"{work}/threads.o", "-o", str(library), "-lm")
    manifest = {
        "size": library.stat().st_size,
        "sha256": hashlib.sha256(library.read_bytes()).hexdigest(),
        "digests": {file: source_digest(instances[0]) for file, instances in by_file.items()},
        "symbols": {key(k): _symbol(k) for k in kernels},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))


def _optimization(level: str, file: str) -> tuple[str, ...]:
    """Return the flags of a source that take the place of -O3."""
    if _is_chosen(file, _SMALLEST_SOURCES.get(level, ())):
        return _SMALLEST
    return _SMALLER if _is_chosen(file, _SMALLER_SOURCES.get(level, ())) else ()


def _run(machine: str, *arguments: str) -> None:
    # gcc, not g++: nothing of the C++ library is used, and the library should not ask for it.
    default = "gcc" if machine == platform.machine() else f"{machine}-linux-gnu-gcc"
    command = [os.environ.get("CC") or default, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        package = f"g++-{machine.replace('_', '-')}-linux-gnu"
        raise KernelCompileError(
            f"no compiler {command[0]} for {machine}; on Debian: apt-get install {package}, or set CC"
        ) from None
    if done.returncode != 0:
        raise KernelCompileError(f"{' '.join(command)}\n{done.stderr}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="compile all kernels for levels of processors")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--for", dest="words", default="1", metavar="LEVELS", help="a machine, or levels of one")
    parser.add_argument("--sources", default="", help="patterns of sources, e.g. 'particles/*.cu'")
    options = parser.parse_args()
    build(options.folder, options.words, shipped_kernels(options.sources))
