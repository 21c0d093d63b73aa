"""The branch of a kernel that only a GPU compiles, run by 64 threads of the host that meet at a barrier."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pair_cases import CUTOFF, LATTICES, apart

from sci.kernels import get_kernel, kernel_folder
from sci.potentials.pairs import pair_sum
from sci.potentials.pairs.cell import Frame
from sci.potentials.pairs.chunks import SOURCE, Chunks
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.reference import reference_sums

CUDA = """
#include <cmath>
#include <thread>
#include <vector>
#include <pthread.h>
#define rsqrt reciprocal_root  // new C libraries have an rsqrt of their own
#define __CUDACC__ 1
#define __global__ static
#define __launch_bounds__(threads, blocks)
#define __device__ static inline
#define __forceinline__
#define __shared__ static
#define SCI_BLOCK 64
struct Index { long long x; };
thread_local Index threadIdx, blockIdx, gridDim;
static pthread_barrier_t barrier;
static void __syncthreads() { pthread_barrier_wait(&barrier); }
static float rsqrt(float x) { return 1.0f / std::sqrt(x); }
static double rsqrt(double x) { return 1.0 / std::sqrt(x); }
using std::sqrt;
static double __longlong_as_double(long long bits) { double x; __builtin_memcpy(&x, &bits, 8); return x; }
static long long __double2ll_rn(double x) { return (long long)std::nearbyint(x); }
static float __int_as_float(int bits) { float x; __builtin_memcpy(&x, &bits, 4); return x; }
static int __float2int_rn(float x) { return (int)std::nearbyint(x); }
#include "particles/pairs.cu"
template <typename F> static void run(i64 grid, const F& kernel) {
    pthread_barrier_init(&barrier, 0, SCI_BLOCK);
    std::vector<std::thread> threads;
    for (int t = 0; t < SCI_BLOCK; ++t)
        threads.emplace_back([&, t] {
            threadIdx.x = t;
            gridDim.x = grid;
            for (i64 b = 0; b < grid; ++b) { blockIdx.x = b; kernel(); __syncthreads(); }
        });
    for (auto& thread : threads) thread.join();
}
"""
INSTANCES = {"in_single": (np.float32, 10, False, True), "in_double": (np.float64, 16, True, True)}


def entry(name: str, kernel: Any) -> str:
    """Return C++ that runs an instance on a grid of blocks."""
    types = [f"{p.c_type}{'*' if p.dims is not None else ''} {p.name}" for p in kernel.parameters]
    names = ", ".join(p.name for p in kernel.parameters)
    return f'extern "C" void {name}(i64 grid, {", ".join(types)}) {{ run(grid, [&] {{ {kernel.name}({names}); }}); }}\n'


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The instances, compiled as a device would see them."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    folder: Path = tmp_path_factory.mktemp("device")
    instances = {name: get_kernel(SOURCE, "pairs", *arguments) for name, arguments in INSTANCES.items()}
    (folder / "device.cpp").write_text(CUDA + "".join(entry(name, kernel) for name, kernel in instances.items()))
    command = ["g++", "-std=c++17", "-O0", "-fPIC", "-shared", "-pthread", f"-I{kernel_folder()}", "-w"]
    subprocess.run([*command, str(folder / "device.cpp"), "-o", str(folder / "device.so")], check=True)
    return ctypes.CDLL(str(folder / "device.so"))


@pytest.mark.parametrize("lattice", LATTICES)
@pytest.mark.parametrize("name", INSTANCES)
def test_a_block_of_threads_sums_the_pairs_of_a_chunk(library, name, lattice, monkeypatch):
    dtype, degree, screened, forces = INSTANCES[name]

    def launch(instance: Any, grid: int, *arguments: Any) -> None:
        kinds = {float: ctypes.c_double, int: ctypes.c_longlong}
        given = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else kinds[type(a)](a) for a in arguments]
        getattr(library, name)(ctypes.c_longlong(grid), *given)

    monkeypatch.setattr(pair_sum, "launch", launch)
    monkeypatch.setattr(pair_sum, "is_device_array", lambda array: True)
    rng = np.random.default_rng(5)
    kernel = PairKernel(CUTOFF, 0.6 ** np.arange(degree + 1) * rng.normal(size=degree + 1), 0.4 if screened else 0.0)
    instance = get_kernel(SOURCE, "pairs", *INSTANCES[name])
    for n in (1, 40):
        side = int(np.ceil(n ** (1 / 3)))
        periods = None if LATTICES[lattice] is None else side * LATTICES[lattice]
        positions = apart(rng, n) if periods is None else apart(rng, n) / side @ periods
        frame, charges = Frame.of(positions, CUTOFF, periods), rng.uniform(-1, 1, n)
        found, extra = pair_sum.launched_sums(instance, Chunks.of(frame, charges, np.dtype(dtype)), kernel)
        expected, wanted = reference_sums(frame, charges, kernel, forces)
        for have, want in ((found, expected), (extra[:9], wanted[:9])):
            tol = (2e-6 if name == "in_single" else 1e-13) * max(1.0, np.abs(want).max())
            np.testing.assert_allclose(have, want, rtol=0, atol=tol)
