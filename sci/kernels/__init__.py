"""Kernels: hot loops of one CUDA C++ source, compiled for GPUs by NVRTC and for the CPU by the system's C++ compiler.

A kernel is a template in `kernels/*/*.cu`. Its source says everything about it, once. The line `// Instances:` lists
the template arguments that are compiled and tested. The parameter list gives the types, and a comment behind the name
of an array its shape:

    // out = factor x.
    // Instances: <float|double>
    template <typename T>
    SCI_KERNEL scale(SCI_INDEX const T* x /*[n]*/, T* out /*[n]*/, const i64 n, const double factor) {
        for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
            SCI_THREADS(t) {
                const i64 i = block * SCI_BLOCK + t;
                if (i < n) out[i] = T(factor) * x[i];
            }
        }
    }

The caller names an instance and launches it, or runs its reference, which does the same in array calls:

    def scale(x: Array, factor: float) -> Array:
        kernel = get_kernel("nn/scale.cu", "scale", x.dtype)
        if not use_compiled(kernel, x):
            return scale_reference(x, factor)
        out = namespace(x).empty_like(x)
        launch(kernel, -(-len(x) // block_size(x)), x, out, len(x), factor)
        return out

The launcher checks number, dtype, shape, contiguity, device and writability of the arguments against the source,
because neither `ctypes` nor `cupy.RawKernel` does. In a shape, a name stands for one length in the whole call and for
the scalar of that name, a template parameter for its value, and `FLAG ? 4 : 1` for a choice. A `const` array is input;
every other array is written. In an instance such as `<float|double, T>`, `|` separates choices, and T repeats the
argument of that name. `// Instances (host):` marks a kernel that only the CPU runs. `kernels/host.h` explains the
macros.

A new kernel touches three places: its source, its caller with the reference, and one row of cases in
`tests/cases/kernel_cases.py`, which runs every instance against the reference.
"""

from sci.kernels.cache import cache_folder
from sci.kernels.compile import compiled_kernels_available, find_compiler, prebuilt_stale
from sci.kernels.launch import bind, block_size, host_threads, launch, use_compiled
from sci.kernels.prebuilt import prebuilt_damage, prebuilt_distribution, prebuilt_level
from sci.kernels.signature import Kernel, Parameter, every_kernel, get_kernel, kernel_folder

__all__ = [
    "Kernel",
    "Parameter",
    "bind",
    "block_size",
    "cache_folder",
    "compiled_kernels_available",
    "every_kernel",
    "find_compiler",
    "get_kernel",
    "host_threads",
    "kernel_folder",
    "launch",
    "prebuilt_damage",
    "prebuilt_distribution",
    "prebuilt_level",
    "prebuilt_stale",
    "use_compiled",
]
