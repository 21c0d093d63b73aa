"""Check the arguments of a kernel against its signature, and launch it on the CPU or on a GPU."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.backend import ShapeArray, is_device_array, namespace
from sci.backend.shapes import count_work
from sci.errors import DeviceMismatchError, DTypeError, InvalidValueError, ShapeError
from sci.kernels.compile import (
    DEVICE_BLOCK,
    HOST_BLOCK,
    HostSettings,
    compiles,
    device_function,
    host_function,
    thread_pool,
)
from sci.kernels.signature import Kernel, Parameter
from sci.options import MOST_THREADS
from sci.options import get as get_option
from sci.tasks import cores_of_task

__all__ = ["bind", "block_size", "host_threads", "launch", "use_compiled"]


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
    InvalidValueError
        If an array for a result is read-only, or the source does not declare the instance.
    KernelCompileError
        If the kernel does not compile.
    """
    bind(kernel, grid, *arguments)()


def bind(kernel: Kernel, grid: int, *arguments: Any) -> Callable[[], None]:
    """Return a call of `launch` whose arguments have been checked, for launches that repeat with the same arrays.

    The arrays are held; a call takes a few microseconds. Compiler, folders and threads are those of now.

    Parameters
    ----------
    kernel : Kernel
        An instance from `get_kernel`.
    grid : int
        Blocks to launch.
    *arguments : arrays and numbers
        In the order of the kernel's source.

    Returns
    -------
    callable without arguments
    """
    on_device = _checked(kernel, arguments)
    if grid == 0:
        return lambda: None
    if ShapeArray in map(type, arguments):
        return lambda: count_work(launches=1)  # arrays without numbers: the caller made the memory, and that is all
    if on_device:
        xp = namespace(*(a for p, a in zip(kernel.parameters, arguments) if p.dims is not None))
        function = device_function(xp, kernel, int(xp.cuda.Device().id))
        values = tuple(a if p.dims is not None else p.dtype.type(a) for p, a in zip(kernel.parameters, arguments))
        return functools.partial(function, (min(grid, 2**31 - 1),), (DEVICE_BLOCK,), values)
    settings, threads = HostSettings.of_now(), host_threads()
    host = host_function(kernel, settings)
    pool = thread_pool(settings) if threads > 1 else None
    given = [a if p.dims is None else a.ctypes.data for p, a in zip(kernel.parameters, arguments)]
    call = functools.partial(host, pool, grid, threads, *given)
    call.arrays = arguments  # type: ignore[attr-defined]  # pointers do not keep what they point to
    return call


def _checked(kernel: Kernel, arguments: tuple[Any, ...]) -> bool:
    """Check every argument against the signature; return True if the call is for a device."""
    if len(arguments) != len(kernel.parameters):
        raise ShapeError(f"{kernel.name} takes {len(kernel.parameters)} arguments, got {len(arguments)}")
    lengths: dict[str, int] = {}
    on_host = on_device = False
    for parameter, value in zip(kernel.parameters, arguments):
        if parameter.dims is None:
            continue
        _check_array(kernel, parameter, value, lengths)
        if type(value) is not np.ndarray and is_device_array(value):
            on_device = True
            continue
        on_host = True
        if parameter.output and not value.flags.writeable:
            raise InvalidValueError(
                f"argument {parameter.name} of {kernel.name} is read-only, and the kernel writes to it; pass a copy"
            )
    for position, name in kernel.lengths:
        if arguments[position] != lengths[name]:
            raise ShapeError(
                f"argument {name} of {kernel.name} is {arguments[position]}, but the arrays have {lengths[name]}"
            )
    if on_host and on_device:
        raise DeviceMismatchError(f"{kernel.name} got host and device arrays in one call")
    return on_device


def _check_array(kernel: Kernel, parameter: Parameter, value: Any, lengths: dict[str, int]) -> None:
    """Check dtype, contiguity and shape; `lengths` holds what the named lengths are in this call."""
    found = getattr(value, "dtype", type(value))
    if found is not parameter.dtype and found != parameter.dtype:
        raise DTypeError(f"argument {parameter.name} of {kernel.name} has dtype {found}, expected {parameter.dtype}")
    if not value.flags.c_contiguous:
        raise ShapeError(f"argument {parameter.name} of {kernel.name} is not C-contiguous; pass ascontiguousarray(...)")
    dims, shape = parameter.dims or (), value.shape
    fits = len(shape) == len(dims)
    for dim, length in zip(dims, shape):
        fits = fits and length == (dim if isinstance(dim, int) else lengths.setdefault(dim, length))
    if not fits:
        expected = ", ".join(map(str, dims))
        raise ShapeError(
            f"argument {parameter.name} of {kernel.name} has shape {shape}, expected [{expected}] with {lengths}"
        )


def block_size(array: Any) -> int:
    """Return the threads of a block where `array` lies: the tile that callers cut their work into.

    Parameters
    ----------
    array : array
        On the host or on a device.

    Returns
    -------
    int
        Threads of a block.
    """
    return DEVICE_BLOCK if is_device_array(array) else HOST_BLOCK


def host_threads() -> int:
    """Return the threads of a kernel on the CPU: the option, OMP_NUM_THREADS, or the cores of this process.

    Returns
    -------
    int
        At least 1, at most 4096.
    """
    chosen = get_option("threads")
    if chosen:
        return int(chosen)
    variable = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if variable.isdigit() and int(variable) > 0:
        return min(int(variable), MOST_THREADS)
    return cores_of_task()


def use_compiled(kernel: Kernel, array: Any) -> bool:
    """Return True if `kernel` runs compiled for `array`, False for its array-level reference.

    Under `kernels="auto"` a compiler that is missing or fails gives one warning and the reference. Under "compiled" and
    "native" it raises `KernelCompileError`; "native" leaves out the kernels that came compiled. A kernel that only
    hosts run is never compiled for a device.

    Parameters
    ----------
    kernel : Kernel
        An instance from `get_kernel`.
    array : array
        One of the arguments of the launch.

    Returns
    -------
    bool
        True for the compiled kernel.
    """
    mode = get_option("kernels")
    if mode == "reference":
        return False
    if is_device_array(array):
        return not kernel.host_only
    if mode in ("compiled", "native"):
        return True
    return compiles(kernel, HostSettings.of_now())
