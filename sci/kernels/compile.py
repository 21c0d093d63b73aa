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

from sci.distribution import kernels_command
from sci.errors import KernelCompileError
from sci.kernels import cache, prebuilt
from sci.kernels.signature import Kernel, every_kernel
from sci.options import get as get_option

__all__ = ["compiled_kernels_available", "find_compiler", "prebuilt_stale"]

HOST_BLOCK = 16
DEVICE_BLOCK = 64
# No -ffast-math: it drops NaN and reassociates, and linking with it sets flush-to-zero for the whole process.
HOST_FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-fPIC", "-Wall", "-Wno-unknown-pragmas"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
)
DEVICE_FLAGS = ("-std=c++17", f"-DSCI_BLOCK={DEVICE_BLOCK}")
COMPILE_SECONDS = 300.0
"""How long a compiler may take for a kernel, which takes it seconds."""

POOL_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-pthread", "-Wall")

SCALARS: dict[str, Any] = {"double": ctypes.c_double, "float": ctypes.c_float, "i64": ctypes.c_longlong}


class HostSettings(NamedTuple):
    """What chooses the library of a kernel: the cache, the compiler, more flags, and folders to read from."""

    cache: Path
    compiler: str | None
    flags: str
    layers: str
    prebuilt: bool
    """Whether kernels that came compiled are used: not with flags of the user, nor where native ones are asked for."""
    cpu_level: str | None
    """The highest level of those."""

    @classmethod
    def of_now(cls) -> HostSettings:
        """Return the settings in force."""
        flags = get_option("cxxflags")
        came = not flags and get_option("kernels") != "native"
        layers, level = get_option("kernel_layers"), get_option("cpu_level")
        return cls(cache.cache_folder(), get_option("compiler"), flags, layers, came, level)

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
    """Return the C++ compiler's path and version line, or None if there is none that answers.

    Parameters
    ----------
    preferred : str or None
        Path or name to try first and alone.

    Returns
    -------
    (str, str) or None
    """
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
    """Return True if a C++ compiler is found; warn once if none is and references are used instead.

    Parameters
    ----------
    compiler : str, optional
        Path or name of the compiler to ask for.

    Returns
    -------
    bool
        True if kernels run compiled on the CPU here.
    """
    if find_compiler(compiler) is not None:
        return True
    warnings.warn(
        f"no C++ compiler found: kernels run as their much slower NumPy references; {kernels_command()}, or install "
        "g++, or set SCI_COMPILER",
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


def function_text(kernel: Kernel, symbol: str) -> str:
    """Return the C++ that makes a function of an instance: its blocks one after the other, or given to `run`."""
    types = [(f"{p.c_type}{'*' if p.dims is not None else ''}", p.name) for p in kernel.parameters]
    fields, names = "".join(f" {t} {n};" for t, n in types), ", ".join(n for _, n in types)
    return f"""namespace {{
struct {symbol}_arguments {{ i64 sci_grid;{fields} }};
void {symbol}_blocks(const void* given, i64 first, i64 last) {{
    const auto [sci_grid, {names}] = *static_cast<const {symbol}_arguments*>(given);
    for (i64 sci_block = first; sci_block < last; ++sci_block)
        {kernel.name}(SciIndex{{sci_block}}, SciIndex{{sci_grid}}, {names});
}}
}}
extern "C" __attribute__((visibility("default"))) void {symbol}(
    void (*run)(void (*)(const void*, i64, i64), const void*, i64, int), i64 sci_grid, int sci_threads,
    {", ".join(f"{t} {n}" for t, n in types)}) {{
    const {symbol}_arguments given = {{sci_grid, {names}}};
    if (run) run({symbol}_blocks, &given, sci_grid, sci_threads);
    else {symbol}_blocks(&given, 0, sci_grid);
}}
"""


def source_digest(kernel: Kernel) -> str:
    """Return a digest of a kernel's source and all that it includes."""
    return _digest(*(part for pair in _sources(kernel.folder, kernel.file).items() for part in pair))


def prebuilt_stale() -> list[str]:
    """Name the sources of now whose kernels came compiled from another text, and so are not used.

    Returns
    -------
    list of str
    """
    made = prebuilt.digests()
    return sorted({k.file for k in every_kernel() if made.get(k.file, source_digest(k)) != source_digest(k)})


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


class _Unit(NamedTuple):
    """What becomes one library: C++ text with the texts that it includes, by name, and flags."""

    name: str
    stem: str
    text: str
    included: dict[str, str]
    flags: list[str]

    def file_name(self, compiler: tuple[str, str] | None) -> str:
        """Return a name with a key of text, flags and processor, and one of the compiler: `*` without one."""
        texts = (part for pair in self.included.items() for part in pair)
        key = _digest(self.text, *texts, *self.flags, _processor())
        return f"{self.stem}-{key[:32]}-{_digest(*compiler)[:8] if compiler else '*'}.so"

    def make(self, compiler: str, work: Path) -> Path:
        """Compile and link in a folder; return the library."""
        source, objects, made = (work / n for n in ("kernel.cpp", "kernel.o", "kernel.so"))
        source.write_text(self.text)
        for name, text in self.included.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        link = [f for f in self.flags if f.startswith("-fsanitize")]
        _run_compiler([compiler, *self.flags, f"-I{work}", "-c", str(source), "-o", str(objects)], self.name)
        _run_compiler([compiler, "-shared", *link, str(objects), "-o", str(made), "-lm"], self.name)
        return made


def _library(unit: _Unit, settings: HostSettings) -> ctypes.CDLL:
    """Load a library, or compile it into the cache."""
    found = find_compiler(settings.compiler)
    name = unit.file_name(found)
    library = cache.find(settings.folders, name)
    if library is not None:
        return library
    if found is None:
        raise _NoCompilerError(
            f"no C++ compiler found; {kernels_command()}, or install g++, or set SCI_COMPILER, or use "
            "kernels='reference'"
        )
    return cache.build(settings.writable, name, functools.partial(unit.make, found[0]))


def host_library(kernel: Kernel, settings: HostSettings, more_flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """Load the compiled kernel, or compile it into the cache."""
    flags = [*HOST_FLAGS, f"-DSCI_BLOCK={HOST_BLOCK}", *shlex.split(settings.flags), *more_flags]
    included = _sources(kernel.folder, kernel.file)
    text = f'#include "{kernel.file}"\n{function_text(kernel, "sci_launch")}'
    return _library(_Unit(kernel.name, Path(kernel.file).stem, text, included, flags), settings)


@functools.cache
def thread_pool(settings: HostSettings) -> int | None:
    """Return the address of the function that spreads blocks over threads; None, with one warning, if there is none."""
    found = prebuilt.thread_pool(settings.cpu_level) if settings.prebuilt else None
    if found is not None:
        return found
    text = (Path(__file__).parent / "threads.cpp").read_text()
    try:
        library = _library(_Unit("threads.cpp", "threads", text, {}, list(POOL_FLAGS)), settings)
    except (KernelCompileError, OSError) as error:
        warnings.warn(f"kernels run on one thread, because: {error}", RuntimeWarning, stacklevel=4)
        return None
    return ctypes.cast(library.sci_run, ctypes.c_void_p).value


@functools.cache
def host_function(kernel: Kernel, settings: HostSettings) -> Any:
    """Return the compiled kernel as a function of thread pool, grid, threads, and pointers and numbers."""
    function = None
    if settings.prebuilt:
        function = prebuilt.function(kernel, source_digest(kernel), settings.cpu_level)
    if function is None:
        function = host_library(kernel, settings).sci_launch
    function.restype = None
    types: list[Any] = [SCALARS[p.c_type] if p.dims is None else ctypes.c_void_p for p in kernel.parameters]
    function.argtypes = [ctypes.c_void_p, ctypes.c_longlong, ctypes.c_int, *types]
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
