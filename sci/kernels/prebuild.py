"""Compile all kernels into one library for each level of x86-64 processors, for a wheel.

`python -m sci.kernels.prebuild FOLDER` fills FOLDER, as the hook of the wheel does with `SCI_PREBUILT=1`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from sci.errors import KernelCompileError
from sci.kernels.compile import HOST_BLOCK, HOST_FLAGS, function_text, source_digest
from sci.kernels.prebuilt import LEVELS, LIBRARY, MANIFEST, PROBE, key
from sci.kernels.signature import Kernel, every_kernel

__all__ = ["build", "shipped_kernels"]

_FLAGS = (
    *(f for f in HOST_FLAGS if f != "-march=native"),
    *(f"-DSCI_BLOCK={HOST_BLOCK}", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti"),
    "-fno-asynchronous-unwind-tables",
)
_LINK = ("-shared", "-pthread", "-Wl,--gc-sections,-z,relro,-z,now", "-s")
_CPU = """
extern "C" int sci_cpu_level() {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 3;
    if (__builtin_cpu_supports("x86-64-v3")) return 2;
    return __builtin_cpu_supports("x86-64-v2") ? 1 : 0;
}
"""


def shipped_kernels() -> list[Kernel]:
    """Return the instances that a host launches: not those that only devices do."""
    return [k for k in every_kernel() if not k.file.endswith("attention_tiles.cu") and not _panels_of_devices(k)]


def _panels_of_devices(kernel: Kernel) -> bool:
    return kernel.file.endswith("chebtuck_points.cu") and kernel.arguments[1] == "8"


def _symbol(kernel: Kernel) -> str:
    return "sci_" + hashlib.sha256(key(kernel).encode()).hexdigest()[:16]


def build(folder: Path, levels: Iterable[str] = LEVELS, kernels: Iterable[Kernel] | None = None) -> None:
    """Write `libcpu.so`, which knows the processor's level, and a library with a manifest for each level.

    Parameters
    ----------
    folder : Path
    levels : iterable of str
    kernels : iterable of Kernel, optional
        All that hosts launch unless given.

    Raises
    ------
    KernelCompileError
    """
    chosen = shipped_kernels() if kernels is None else list(kernels)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as work:
        (Path(work) / "cpu.cpp").write_text(_CPU)
        _run("-O2", "-fPIC", "-shared", "-s", f"{work}/cpu.cpp", "-o", str(folder / PROBE))
    for level in levels:
        _build_level(folder / level, level, chosen)


def _build_level(folder: Path, level: str, kernels: list[Kernel]) -> None:
    folder.mkdir(exist_ok=True)
    by_file: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        by_file.setdefault(kernel.file, []).append(kernel)
    with TemporaryDirectory() as work, ThreadPoolExecutor(os.cpu_count()) as pool:
        units = [Path(work) / f"{number}.cpp" for number in range(len(by_file))]
        for unit, (file, instances) in zip(units, by_file.items()):
            functions = "".join(function_text(k, _symbol(k)) for k in instances)
            unit.write_text(f'#include "{file}"\n{functions}')
        threads = Path(__file__).parent / "threads.cpp"
        march, include = f"-march={level}", f"-I{kernels[0].folder}"
        list(pool.map(lambda u: _run(*_FLAGS, march, include, "-c", str(u), "-o", f"{u}.o"), units))
        _run("-std=c++17", "-O2", "-fPIC", "-pthread", "-c", str(threads), "-o", f"{work}/threads.o")
        library = folder / LIBRARY
        objects = [f"{u}.o" for u in units]
        _run(*_LINK, f"-Wl,-z,{level}", *objects, f"{work}/threads.o", "-o", str(library), "-lm")
    manifest = {
        "size": library.stat().st_size,
        "sha256": hashlib.sha256(library.read_bytes()).hexdigest(),
        "digests": {file: source_digest(instances[0]) for file, instances in by_file.items()},
        "symbols": {key(k): _symbol(k) for k in kernels},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))


def _run(*arguments: str) -> None:
    # gcc, not g++: nothing of the C++ library is used, and the library should not ask for it.
    command = [os.environ.get("CC", "gcc"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KernelCompileError(f"{' '.join(command)}\n{done.stderr}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="compile all kernels for the levels of x86-64 processors")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--levels", nargs="+", default=LEVELS, choices=LEVELS)
    options = parser.parse_args()
    build(options.folder, options.levels)
