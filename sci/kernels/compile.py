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
import signal
import subprocess
import warnings
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from sci.errors import KernelCompileError
from sci.kernels import cache
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
COMPILE_SECONDS = 300.0
"""How long a compiler may take for a kernel, which takes it seconds."""

SCALARS: dict[str, Any] = {"double": ctypes.c_double, "float": ctypes.c_float, "i64": ctypes.c_longlong}


class HostSettings(NamedTuple):
    """What chooses the library of a kernel: the cache, the compiler, more flags, and folders to read from."""

    cache: Path
    compiler: str | None
    flags: str
    layers: str

    @classmethod
    def of_now(cls) -> HostSettings:
        """Return the settings in force."""
        return cls(cache.cache_folder(), get_option("compiler"), get_option("cxxflags"), get_option("kernel_layers"))

    @property
    def folders(self) -> list[Path]:
        """Folders to read from, in order; the last two may be written to."""
        return [*(Path(p) for p in self.layers.split(os.pathsep) if p), *self.writable]

    @property
    def writable(self) -> list[Path]:
        """The cache, and the folder for libraries that it refuses."""
        return [self.cache, cache.local_folder()]


class _NoCompilerError(KernelCompileError):
    """There is no C++ compiler, and no library compiled before."""


@functools.cache
def find_compiler(preferred: str | None) -> tuple[str, str] | None:
    """Return the C++ compiler's path and version line, or None if there is none that answers."""
    for candidate in (preferred,) if preferred else (os.environ.get("CXX"), "g++", "c++", "clang++"):
        path = shutil.which(candidate) if candidate else None
        if path:
            try:
                _, text = _run([path, "--version"], 20.0)
            except KernelCompileError as error:
                warnings.warn(str(error), RuntimeWarning, stacklevel=2)
                continue
            return path, text.partition("\n")[0]
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


def _sources(folder: Path, file: str) -> dict[str, str]:
    """Return the text of a source and of all that it includes, by name."""
    found: dict[str, str] = {}
    waiting = [file]
    while waiting:
        name = waiting.pop()
        if name not in found and (folder / name).is_file():
            found[name] = (folder / name).read_text()
            waiting += re.findall(r'^#include "([^"]+)"', found[name], re.M)
    return found


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _run(command: list[str], seconds: float) -> tuple[int, str]:
    """Run a command with what it starts; return its exit code and what it says; end all of it after some seconds."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        text, _ = process.communicate(timeout=seconds)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise KernelCompileError(
                f"the C++ compiler did not end in {seconds:.0f} s and was stopped: {shlex.join(command)}; try it by "
                "hand, or set SCI_COMPILER to another one"
            ) from None
        raise
    return process.returncode, text


def _run_compiler(command: list[str], source: str) -> None:
    code, text = _run(command, COMPILE_SECONDS)
    if code == 0:
        return
    line = re.search(r"[\w.]+\.(?:cu|h|cpp):\d+", text)
    reason = f"first at {line.group()}" if line else "no space left" if "No space left" in text else "at link time"
    raise KernelCompileError(f"the C++ compiler refused {source} ({reason}):\n{shlex.join(command)}\n{text}")


def _flags(settings: HostSettings, more: tuple[str, ...]) -> list[str]:
    return [*HOST_FLAGS, f"-DSCI_BLOCK={HOST_BLOCK}", *shlex.split(settings.flags), *more]


def library_name(kernel: Kernel, flags: list[str], compiler: tuple[str, str] | None) -> str:
    """Return the file name of a library: a key of sources, flags and processor, and one of the compiler.

    Without a compiler, `*` stands for the latter.
    """
    texts = _sources(kernel.folder, kernel.file)
    key = _digest(*(part for pair in texts.items() for part in pair), _host_source(kernel), *flags, _processor())
    return f"{Path(kernel.file).stem}-{key[:32]}-{_digest(*compiler)[:8] if compiler else '*'}.so"


def host_library(kernel: Kernel, settings: HostSettings, more_flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """Load the compiled kernel, or compile it into the cache."""
    flags, found = _flags(settings, more_flags), find_compiler(settings.compiler)
    name = library_name(kernel, flags, found)
    library = cache.find(settings.folders, name)
    if library is not None:
        return library
    if found is None:
        raise _NoCompilerError("no C++ compiler found; install g++ or set SCI_COMPILER, or use kernels='reference'")
    link = ["-fopenmp", *(f for f in flags if f.startswith("-fsanitize"))]

    def make(work: Path) -> Path:
        source, objects, made = (work / n for n in ("kernel.cpp", "kernel.o", "kernel.so"))
        source.write_text(_host_source(kernel))
        _run_compiler([found[0], *flags, f"-I{kernel.folder}", "-c", str(source), "-o", str(objects)], kernel.name)
        _run_compiler([found[0], "-shared", *link, str(objects), "-o", str(made), "-lm"], kernel.name)
        return made

    return cache.build(settings.writable, name, make)


@functools.cache
def host_function(kernel: Kernel, settings: HostSettings) -> Any:
    """Return the compiled kernel as a function of grid, threads, and pointers and numbers."""
    function = host_library(kernel, settings).sci_launch
    function.restype = None
    types: list[Any] = [SCALARS[p.c_type] if p.dims is None else ctypes.c_void_p for p in kernel.parameters]
    function.argtypes = [ctypes.c_longlong, ctypes.c_int, *types]
    return function


@functools.cache
def compiles(kernel: Kernel, settings: HostSettings) -> bool:
    """Return True if the kernel is compiled for the CPU, now or before; warn once if it cannot be."""
    try:
        host_function(kernel, settings)
    except _NoCompilerError:
        return compiled_kernels_available(settings.compiler)
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
