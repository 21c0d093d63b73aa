"""A small kernel in a folder of its own, for tests of how kernels are read, compiled, kept and launched."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from sci import kernels
from sci.kernels import Kernel, cache, get_kernel, launch
from sci.kernels.compile import (
    HOST_BLOCK,
    HostSettings,
    compiled_kernels_available,
    compiles,
    host_function,
    host_library,
)

SOURCE = """
#include "host.h"
// Instances: <float|double>
template <typename T>
SCI_KERNEL scale(SCI_INDEX const T* __restrict__ x /*[n]*/, T* __restrict__ out /*[n]*/, const i64 n,
                 const double factor) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) out[i] = T(factor) * x[i];
        }
    }
}
"""


def write_sources(folder: Path) -> None:
    """Make a kernel folder that holds the kernel alone."""
    shipped = kernels.kernel_folder()
    folder.mkdir()
    shutil.copy(shipped / "host.h", folder)
    (folder / "scale.cu").write_text(SOURCE)


def scale_kernel(dtype: str = "float64") -> Kernel:
    """Return the kernel as the folder in use has it."""
    return get_kernel("scale.cu", "scale", dtype)


def scaled(n: int = 40, factor: float = 3.0) -> np.ndarray:
    """Run the kernel on 0, 1, ..., n - 1."""
    out = np.zeros(n)
    launch(scale_kernel(), -(-n // HOST_BLOCK), np.arange(float(n)), out, n, factor)
    return out


def built(*flags: str, dtype: str = "float64") -> Path:
    """Compile the kernel, or load it, and return the library that is new since the last call or was there."""
    before = libraries()
    host_library(scale_kernel(dtype), HostSettings.of_now(), flags)
    new = libraries() - before
    return kernels.cache_folder() / max(new or before)


def libraries() -> set[str]:
    """Return the names of the libraries in the cache."""
    return {path.name for path in kernels.cache_folder().glob("*.so")}


def forget() -> None:
    """Forget what was loaded, as a new process would have."""
    for cached in (host_function, compiles, compiled_kernels_available, cache._warn_once):
        cached.cache_clear()
