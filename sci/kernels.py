"""Find, compile, cache and launch the kernels of `kernels/*.cu`, on a GPU and on the CPU from one source.

On a GPU a kernel is compiled by NVRTC through `cupy.RawModule`. On the CPU the system's C++ compiler compiles the
same file through `host.h`, and `ctypes` calls it. The launcher checks device, dtype, shape and contiguity of every
argument, because neither `ctypes` nor `cupy.RawKernel` does.
"""

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import is_device_array, namespace
from sci.errors import DeviceMismatchError, DTypeError, KernelCompileError, ShapeError
from sci.options import get as get_option

__all__ = ["Kernel", "bind", "compiled_kernels_available", "launch", "use_compiled"]

HOST_BLOCK = 16
DEVICE_BLOCK = 64
# No -ffast-math: it drops NaN and reassociates, and linking with it sets flush-to-zero for the whole process.
HOST_FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC", "-Wall", "-Wno-unknown-pragmas"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
)
DEVICE_FLAGS = ("-std=c++17", f"-DSCI_BLOCK={DEVICE_BLOCK}")

_C_TYPES = {"f64": "double", "f32": "float", "i64": "i64", "i32": "int", "i8": "signed char", "u16": "unsigned short"}
_SCALARS = {
    "f64": (ctypes.c_double, np.float64),
    "f32": (ctypes.c_float, np.float32),
    "i64": (ctypes.c_longlong, np.int64),
}
_DTYPES = {
    **{"f64": np.float64, "f32": np.float32, "i64": np.int64, "i32": np.int32},
    **{"i8": np.int8, "u16": np.uint16},
}


@dataclass(frozen=True)
class Kernel:
    """One instance of a kernel template and the types of its arguments.

    Parameters
    ----------
    file : str
        Source in the kernel folder, e.g. "direct_sum.cu".
    name : str
        Template instance, e.g. "direct_sum<double, true>".
    signature : str
        Arguments in order: `name: type[dims]` for an array, `name: type` for a scalar. A letter among the dims
        stands for one length in the whole call, and for the scalar argument of that name.
    host_only : bool
        Whether a device has another kernel, or array code, for the task.
    """

    file: str
    name: str
    signature: str
    host_only: bool = False

    @functools.cached_property
    def parameters(self) -> tuple[tuple[str, str, tuple[str, ...] | None], ...]:
        """Name, type and dims (None for a scalar) of each argument."""
        found = re.findall(r"(\w+): (\w+)(?:\[([\w, ]*)\])?", self.signature)
        return tuple((n, t, tuple(d.split(", ")) if d else None) for n, t, d in found)


def kernel_folder() -> Path:
    """Return the folder of kernel sources: the option `kernel_path`, the wheel's, or the checkout's."""
    return _kernel_folder(get_option("kernel_path"))


@functools.cache
def _kernel_folder(chosen: str | None) -> Path:
    if chosen:
        return Path(chosen)
    shipped = Path(__file__).parent / "_kernels"
    return shipped if shipped.is_dir() else Path(__file__).parent.parent / "kernels"


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


def _writable(folder: Path) -> Path:
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


@functools.cache
def find_compiler(preferred: str | None) -> tuple[str, str] | None:
    """Return the C++ compiler's path and version line, or None where there is none."""
    for candidate in (preferred,) if preferred else (os.environ.get("CXX"), "g++", "c++", "clang++"):
        path = shutil.which(candidate) if candidate else None
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            return path, version.partition("\n")[0]
    return None


@functools.cache
def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine() + platform.processor()
    return platform.machine() + "".join(sorted(set(re.findall(r"^(?:flags|model name|Features)\s*:.*$", text, re.M))))


def _host_source(kernel: Kernel) -> str:
    parameters = ", ".join(
        f"{_C_TYPES[t]} {'*' if dims is not None else ''}{name}" for name, t, dims in kernel.parameters
    )
    names = ", ".join(name for name, _, _ in kernel.parameters)
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


@contextmanager
def _locked(path: Path) -> Iterator[None]:
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


def _build_host(kernel: Kernel, extra_flags: tuple[str, ...] = ()) -> Path:
    """Compile `kernel` into the cache, if it is not there, and return the shared library."""
    found = find_compiler(get_option("compiler"))
    if found is None:
        raise KernelCompileError("no C++ compiler found; install g++ or set SCI_COMPILER, or use kernels='reference'")
    compiler, version = found
    folder = kernel_folder()
    if not (folder / kernel.file).is_file():
        raise KernelCompileError(f"kernel source {kernel.file} is not in {folder}; check SCI_KERNEL_PATH")
    flags = [*HOST_FLAGS, f"-DSCI_BLOCK={HOST_BLOCK}", *extra_flags]
    wrapper = _host_source(kernel)
    headers = "".join(path.read_text() for path in sorted(folder.glob("*.h")))
    parts = (headers, (folder / kernel.file).read_text(), wrapper, " ".join(flags), version, _processor())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    cache = _writable(cache_folder())
    target = cache / f"{Path(kernel.file).stem}-{key}.so"
    if target.is_file():
        return target
    with _locked(cache / f"{key}.lock"):
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
def _host_function(kernel: Kernel, folder: Path, cache: Path, compiler: str | None) -> Any:
    function = ctypes.CDLL(str(_build_host(kernel))).sci_launch
    function.restype = None
    types: list[Any] = [_SCALARS[t][0] if dims is None else ctypes.c_void_p for _, t, dims in kernel.parameters]
    function.argtypes = [ctypes.c_longlong, ctypes.c_int, *types]
    return function


@functools.cache
def _device_function(xp: ModuleType, kernel: Kernel, folder: Path, device: int) -> Any:
    module = xp.RawModule(
        code=(folder / kernel.file).read_text(),
        options=(*DEVICE_FLAGS, f"-I{folder}"),
        name_expressions=(kernel.name,),
    )
    return module.get_function(kernel.name)


def _checked(kernel: Kernel, arguments: tuple[Any, ...]) -> bool:
    """Check every argument against the signature; tell whether the call is for a device."""
    if len(arguments) != len(kernel.parameters):
        raise ShapeError(f"{kernel.name} takes {len(kernel.parameters)} arguments, got {len(arguments)}")
    lengths: dict[str, int] = {}
    on_device: set[bool] = set()
    for (name, type_name, dims), value in zip(kernel.parameters, arguments):
        if dims is None:
            continue
        where = f"argument {name} of {kernel.name}"
        if getattr(value, "dtype", None) != _DTYPES[type_name]:
            raise DTypeError(f"{where} has dtype {getattr(value, 'dtype', type(value))}, expected {type_name}")
        if not value.flags.c_contiguous:
            raise ShapeError(f"{where} is not C-contiguous; pass ascontiguousarray(...)")
        if value.ndim != len(dims):
            raise ShapeError(f"{where} has shape {value.shape}, expected [{', '.join(dims)}]")
        for dim, length in zip(dims, value.shape):
            if length != (int(dim) if dim.isdigit() else lengths.setdefault(dim, length)):
                raise ShapeError(f"{where} has shape {value.shape}, expected [{', '.join(dims)}] with {lengths}")
        on_device.add(is_device_array(value))
    for (name, _, dims), value in zip(kernel.parameters, arguments):
        if dims is None and name in lengths and value != lengths[name]:
            raise ShapeError(f"argument {name} of {kernel.name} is {value}, but the arrays have {lengths[name]}")
    if len(on_device) > 1:
        raise DeviceMismatchError(f"{kernel.name} got host and device arrays in one call")
    return on_device == {True}


def host_threads() -> int:
    """Return the threads of a kernel on the CPU: the option, OMP_NUM_THREADS, or the cores of this process."""
    chosen = get_option("threads")
    if chosen:
        return int(chosen)
    variable = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if variable.isdigit() and int(variable) > 0:
        return int(variable)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def launch(kernel: Kernel, grid: int, *arguments: Any) -> None:
    """Run `kernel` on `grid` blocks, on the device of its array arguments.

    Parameters
    ----------
    kernel : Kernel
    grid : int
        Number of blocks; the kernel itself checks bounds and strides over the grid.
    *arguments
        Arrays and scalars in the order of the signature. Arrays are C-contiguous, of the dtype stated, all on
        one side; results are written into the arrays passed for them.

    Raises
    ------
    ShapeError, DTypeError, DeviceMismatchError
        If an argument is not what the signature says.
    KernelCompileError
        If the kernel does not compile.
    """
    bind(kernel, grid, *arguments)()


def bind(kernel: Kernel, grid: int, *arguments: Any) -> Callable[[], None]:
    """Return a call of `launch` whose arguments have been checked, for launches that repeat with the same arrays.

    The arrays are held; a call takes a few microseconds. Compiler, folders and threads are those of now.
    """
    on_device = _checked(kernel, arguments)
    if grid == 0:
        return lambda: None
    if on_device:
        xp = namespace(*(a for (_, _, dims), a in zip(kernel.parameters, arguments) if dims is not None))
        function = _device_function(xp, kernel, kernel_folder(), int(xp.cuda.Device().id))
        values = [a if d is not None else _SCALARS[t][1](a) for (_, t, d), a in zip(kernel.parameters, arguments)]
        return functools.partial(function, (min(grid, 2**31 - 1),), (DEVICE_BLOCK,), tuple(values))
    host = _host_function(kernel, kernel_folder(), cache_folder(), get_option("compiler"))
    given = (a if d is None else a.ctypes.data for (_, _, d), a in zip(kernel.parameters, arguments))
    call = functools.partial(host, grid, host_threads(), *given)
    call.arrays = arguments  # type: ignore[attr-defined]  # pointers do not keep what they point to
    return call


def block_size(array: Any) -> int:
    """Return the threads of a block where `array` lies: the tile that callers cut their work into."""
    return DEVICE_BLOCK if is_device_array(array) else HOST_BLOCK


@functools.cache
def compiled_kernels_available(compiler: str | None = None) -> bool:
    """Tell whether a C++ compiler is found; warn once where none is and references are used instead."""
    if find_compiler(compiler) is not None:
        return True
    warnings.warn(
        "no C++ compiler found: kernels run as their much slower NumPy references; install g++ or set SCI_COMPILER",
        RuntimeWarning,
        stacklevel=2,
    )
    return False


def use_compiled(kernel: Kernel, array: Any) -> bool:
    """Tell whether `kernel` runs compiled for `array`, or as its array-level reference.

    Under `kernels="auto"` a compiler that is missing or fails gives one warning and the reference; under "compiled" it
    raises `KernelCompileError`. A kernel that only hosts run is never compiled for a device.
    """
    mode = get_option("kernels")
    if mode == "reference":
        return False
    if is_device_array(array):
        return not kernel.host_only
    if mode == "compiled":
        return True
    if not compiled_kernels_available(get_option("compiler")):
        return False
    return _compiles(kernel, kernel_folder(), cache_folder(), get_option("compiler"))


@functools.cache
def _compiles(kernel: Kernel, folder: Path, cache: Path, compiler: str | None) -> bool:
    try:
        _host_function(kernel, folder, cache, compiler)
    except (KernelCompileError, OSError) as error:
        warnings.warn(f"{kernel.name} runs as its NumPy reference, because: {error}", RuntimeWarning, stacklevel=3)
        return False
    return True
