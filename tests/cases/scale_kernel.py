"""A small kernel in a folder of its own, for tests of how kernels are read, compiled, kept and launched."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from sci import kernels
from sci.kernels import Kernel, get_kernel, launch
from sci.kernels.compile import HOST_BLOCK, build_host, compiles, host_function

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


def built(*flags: str) -> Path:
    """Compile the kernel and return its library."""
    return build_host(scale_kernel(), kernels.cache_folder(), flags)


def libraries() -> set[str]:
    """Return the names of the libraries in the cache."""
    return {path.name for path in kernels.cache_folder().glob("*.so")}


def forget() -> None:
    """Forget what was loaded, as a new process would have."""
    host_function.cache_clear()
    compiles.cache_clear()
