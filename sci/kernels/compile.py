"""Compile kernels: for the CPU by the system's C++ compiler into the cache, for a GPU by NVRTC through CuPy."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from sci.errors import KernelCompileError
from sci.kernels.cache import locked, writable
from sci.kernels.signature import Kernel
from sci.options import get as get_option

__all__ = ["compiled_kernels_available", "find_compiler"]

HOST_BLOCK = 16
DEVICE_BLOCK = 64
# No -ffast-math: it drops NaN and reassociates, and linking with it sets flush-to-zero for the whole process.
HOST_FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC", "-Wall", "-Wno-unknown-pragmas"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
)
DEVICE_FLAGS = ("-std=c++17", f"-DSCI_BLOCK={DEVICE_BLOCK}")

SCALARS: dict[str, Any] = {"double": ctypes.c_double, "float": ctypes.c_float, "i64": ctypes.c_longlong}


@functools.cache
def find_compiler(preferred: str | None) -> tuple[str, str] | None:
    """Return the C++ compiler's path and version line, or None if there is none."""
    for candidate in (preferred,) if preferred else (os.environ.get("CXX"), "g++", "c++", "clang++"):
        path = shutil.which(candidate) if candidate else None
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            return path, version.partition("\n")[0]
    return None


@functools.cache
def compiled_kernels_available(compiler: str | None = None) -> bool:
    """Return True if a C++ compiler is found; warn once if none is and references are used instead."""
    if find_compiler(compiler) is not None:
        return True
    warnings.warn(
        "no C++ compiler found: kernels run as their much slower NumPy references; install g++ or set SCI_COMPILER",
        RuntimeWarning,
        stacklevel=2,
    )
    return False


@functools.cache
def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine() + platform.processor()
    return platform.machine() + "".join(sorted(set(re.findall(r"^(?:flags|model name|Features)\s*:.*$", text, re.M))))


def _host_source(kernel: Kernel) -> str:
    parameters = ", ".join(f"{p.c_type} {'*' if p.dims is not None else ''}{p.name}" for p in kernel.parameters)
    names = ", ".join(p.name for p in kernel.parameters)
    return (
        f'#include "{kernel.file}"\n'
        f'extern "C" void sci_launch(i64 sci_grid, int sci_threads, {parameters}) {{\n'
        "#pragma omp parallel for schedule(dynamic) num_threads(sci_threads)\n"
        "    for (i64 sci_block = 0; sci_block < sci_grid; ++sci_block)\n"
        f"        {kernel.name}(SciIndex{{sci_block}}, SciIndex{{sci_grid}}, {names});\n"
        "}\n"
    )


def _run_compiler(command: list[str], source: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    line = re.search(r"[\w.]+\.(?:cu|h|cpp):\d+", done.stderr)
    raise KernelCompileError(
        f"the C++ compiler refused {source} (first at {line.group() if line else 'link time'}):\n"
        f"{shlex.join(command)}\n{done.stderr}"
    )


def build_host(kernel: Kernel, cache: Path, extra_flags: tuple[str, ...] = ()) -> Path:
    """Compile `kernel` into the cache, if it is not there, and return the shared library."""
    found = find_compiler(get_option("compiler"))
    if found is None:
        raise KernelCompileError("no C++ compiler found; install g++ or set SCI_COMPILER, or use kernels='reference'")
    compiler, version = found
    folder, wrapper = kernel.folder, _host_source(kernel)
    flags = [*HOST_FLAGS, f"-DSCI_BLOCK={HOST_BLOCK}", *extra_flags]
    headers = "".join(path.read_text() for path in sorted(folder.rglob("*.h")))
    parts = (headers, (folder / kernel.file).read_text(), wrapper, " ".join(flags), version, _processor())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    cache = writable(cache)
    target = cache / f"{Path(kernel.file).stem}-{key}.so"
    if target.is_file():
        return target
    with locked(cache / f"{key}.lock"):
        if not target.is_file():
            with tempfile.TemporaryDirectory(dir=cache) as work:
                source, objects, library = (Path(work) / n for n in ("kernel.cpp", "kernel.o", "kernel.so"))
                source.write_text(wrapper)
                _run_compiler([compiler, *flags, f"-I{folder}", "-c", str(source), "-o", str(objects)], kernel.name)
                link = [f for f in flags if f.startswith("-fsanitize")]
                _run_compiler(
                    [compiler, "-shared", "-fopenmp", *link, str(objects), "-o", str(library), "-lm"], kernel.name
                )
                library.replace(target)
    return target


@functools.cache
def host_function(kernel: Kernel, cache: Path, compiler: str | None) -> Any:
    """Return the compiled kernel as a function of grid, threads, and pointers and numbers."""
    function = ctypes.CDLL(str(build_host(kernel, cache))).sci_launch
    function.restype = None
    types: list[Any] = [SCALARS[p.c_type] if p.dims is None else ctypes.c_void_p for p in kernel.parameters]
    function.argtypes = [ctypes.c_longlong, ctypes.c_int, *types]
    return function


@functools.cache
def compiles(kernel: Kernel, cache: Path, compiler: str | None) -> bool:
    """Return True if the kernel compiles for the CPU; warn once if it does not."""
    try:
        host_function(kernel, cache, compiler)
    except (KernelCompileError, OSError) as error:
        warnings.warn(f"{kernel.name} runs as its NumPy reference, because: {error}", RuntimeWarning, stacklevel=3)
        return False
    return True


@functools.cache
def device_function(xp: ModuleType, kernel: Kernel, device: int) -> Any:
    """Return the kernel compiled for the present device."""
    module = xp.RawModule(
        code=(kernel.folder / kernel.file).read_text(),
        options=(*DEVICE_FLAGS, f"-I{kernel.folder}"),
        name_expressions=(kernel.name,),
    )
    return module.get_function(kernel.name)
