"""Every kernel instance compiles for every GPU architecture that we name, with no register spills (no GPU needed)."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from pathlib import Path

import pytest

from sci.kernels import DEVICE_FLAGS, Kernel, kernel_folder
from sci.potentials.direct import direct_sum_kernel
from sci.potentials.short_range import TILE_BOUNDS, short_range_grid_kernel, short_range_kernel
from sci.tensor.boxes import BOX_DEGREES, MOMENT_DEGREES, box_moments_kernel, evaluate_boxes_kernel

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
KERNELS = [
    *(direct_sum_kernel(s, g) for s in (False, True) for g in (False, True)),
    *(short_range_kernel(d, s, g) for d in (8, 20, 32) for s in (False, True) for g in (False, True)),
    *(short_range_grid_kernel(d, s) for d in (8, 20, 32) for s in (False, True)),
    *(evaluate_boxes_kernel(d, g) for d in BOX_DEGREES for g in (False, True)),
    *(box_moments_kernel(d) for d in MOMENT_DEGREES),
    TILE_BOUNDS,
]


@pytest.fixture(scope="module")
def nvrtc() -> ctypes.CDLL:
    found = importlib.util.find_spec("nvidia.cuda_nvrtc")
    if found is None or not found.submodule_search_locations:
        pytest.skip("nvidia-cuda-nvrtc-cu12 is not installed")
    folder = Path(next(iter(found.submodule_search_locations))) / "lib"
    return ctypes.CDLL(str(next(folder.glob("libnvrtc.so.*"))))


def log_of(nvrtc: ctypes.CDLL, program: ctypes.c_void_p) -> str:
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, text)
    return text.value.decode()


def compile_file(nvrtc: ctypes.CDLL, file: str, kernels: list[Kernel], architecture: str) -> str:
    """Compile all instances of one file to machine code, and return the compiler's report."""
    program = ctypes.c_void_p()
    source = (kernel_folder() / file).read_bytes()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, file.encode(), 0, None, None) == 0
    for kernel in kernels:
        assert nvrtc.nvrtcAddNameExpression(program, kernel.name.encode()) == 0
    flags = [*DEVICE_FLAGS, f"-I{kernel_folder()}", f"--gpu-architecture={architecture}", "--ptxas-options=-v"]
    options = (ctypes.c_char_p * len(flags))(*(f.encode() for f in flags))
    code = nvrtc.nvrtcCompileProgram(program, len(flags), options)
    report = log_of(nvrtc, program)
    assert code == 0, report
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return report


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("file", sorted({k.file for k in KERNELS}))
def test_kernels_compile_without_spills(nvrtc, file, architecture):
    kernels = [k for k in KERNELS if k.file == file]
    report = compile_file(nvrtc, file, kernels, architecture)
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", report)
    assert len(spills) >= len(kernels), report
    assert all(store == load == "0" for store, load in spills), report
