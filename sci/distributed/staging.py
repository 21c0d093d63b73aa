"""Turn arrays into buffers that MPI may touch, and back: the one place where device memory meets MPI.

A host array is handed over as it is. A device array is handed over only where the MPI library takes device memory
(option `cuda_aware_mpi`); everywhere else it passes through pinned host memory. In both cases the current stream is
synchronised first, because MPI knows nothing of streams.
"""

from __future__ import annotations

import ctypes
import functools
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.errors import DTypeError, InvalidValueError
from sci.options import get as get_option

__all__ = ["cuda_aware", "element_dtype", "empty_buffer", "from_buffer", "to_buffer", "wire"]


@functools.cache
def _library_takes_device_memory() -> bool:
    """Ask the loaded MPI library, through its own query functions, whether it takes CUDA pointers."""
    from mpi4py import MPI

    # dlsym on the extension module also searches the MPI library that it is linked to.
    library = ctypes.CDLL(MPI.__file__)
    if hasattr(library, "MPIX_GPU_query_support"):  # MPICH and its descendants; 0 is MPIX_GPU_SUPPORT_CUDA
        answer = ctypes.c_int(0)
        return library.MPIX_GPU_query_support(0, ctypes.byref(answer)) == 0 and bool(answer.value)
    if hasattr(library, "MPIX_Query_cuda_support"):  # Open MPI
        return bool(library.MPIX_Query_cuda_support())
    return False


def cuda_aware() -> bool:
    """Return True if device buffers are handed to MPI: the option `cuda_aware_mpi`, or the library's own answer.

    Returns
    -------
    bool
        True if the MPI library takes device buffers.
    """
    choice = get_option("cuda_aware_mpi")
    return bool(choice == "on" or (choice == "auto" and _library_takes_device_memory()))


def element_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` in native byte order.

    Raises
    ------
    DTypeError
        If it is not boolean, integer, real or complex.
    """
    given: np.dtype[Any] = np.dtype(dtype)
    if given.kind not in "biufc" and given.name != "bfloat16":
        raise DTypeError(f"an array of dtype {given} cannot be sent; expected numbers or booleans")
    native: np.dtype[Any] = given.newbyteorder("=")
    return native


def wire(buffer: Array) -> Array:
    """Return a flat view of `buffer` in an element type that MPI knows (numbers of two bytes travel as int16)."""
    flat = buffer.reshape(-1)
    return flat.view(np.int16) if flat.dtype.name in ("float16", "bfloat16") else flat


def _pinned(xp: ModuleType, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an empty host array in page-locked memory, which a device copies to and from at full speed."""
    count = int(np.prod(shape, dtype=np.int64))
    memory = xp.cuda.alloc_pinned_memory(max(count, 1) * dtype.itemsize)
    return np.frombuffer(memory, dtype=dtype, count=count).reshape(shape)


def to_buffer(array: Array) -> Array:
    """Return a C-contiguous copy or view of `array` that MPI may read.

    Notes
    -----
    The current stream is idle on return, so the buffer's contents are final.
    """
    xp = namespace(array)
    ready = xp.ascontiguousarray(array, dtype=element_dtype(array.dtype))
    if not is_device_array(ready):
        return ready
    if cuda_aware():
        xp.cuda.get_current_stream().synchronize()
        return ready
    host = _pinned(xp, ready.shape, ready.dtype)
    ready.get(out=host)  # waits for the current stream
    return host


def empty_buffer(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return memory that MPI may write and that `from_buffer` turns into an array of `xp`.

    Notes
    -----
    The pool may hand out device memory that queued kernels still use, hence the synchronisation.
    """
    native = element_dtype(dtype)
    if xp is np:
        return np.empty(shape, native)
    if not hasattr(xp, "cuda"):
        raise InvalidValueError(f"arrays of {xp.__name__} cannot be received; expected numpy or cupy")
    if not cuda_aware():
        return _pinned(xp, shape, native)
    device = xp.empty(shape, native)
    xp.cuda.get_current_stream().synchronize()
    return device


def from_buffer(buffer: Array, xp: ModuleType) -> Array:
    """Return a received buffer as an array of `xp`."""
    return buffer if xp is np or is_device_array(buffer) else xp.asarray(buffer)
