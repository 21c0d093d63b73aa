"""Every kernel instance compiles for every GPU architecture that we name, with no register spills (no GPU needed)."""

from __future__ import annotations

import re
import shutil
import subprocess

import nvrtc
import pytest

from sci.kernels import every_kernel, kernel_folder
from sci.kernels.compile import DEVICE_FLAGS

ARCHITECTURES = [
    *("sm_75", "sm_100"),
    *(pytest.param(name, marks=pytest.mark.nightly) for name in ("sm_80", "sm_90")),
]
"""The oldest and the newest in every run, those between each night."""
EVERY = every_kernel()
KERNELS = [kernel for kernel in EVERY if not kernel.host_only]
FILES = sorted({kernel.file for kernel in KERNELS})


def names_in(file: str) -> list[str]:
    return [kernel.name for kernel in KERNELS if kernel.file == file]


def test_only_kernels_of_the_host_are_left_out():
    left_out = {(kernel.file, kernel.template) for kernel in EVERY if kernel.host_only}
    sorting = {"order_of_keys", "pack_chunks"}
    assert {name for file, name in left_out if file == "particles/pairs.cu"} == sorting
    assert {file for file, _ in left_out} == {
        *("attention/attention.cu", "attention/gated.cu", "attention/lightning.cu", "grid/cycle_stages.cu"),
        *("particles/bricks.cu", "particles/pairs.cu", "sparse/products.cu", "sparse/rows.cu", "grid/network.cu"),
        *("grid/multigrid_stages.cu", "sparse/aggregation.cu", "coding/rest.cu", "coding/interpolation.cu"),
    }
    assert {name for file, name in left_out if file == "sparse/rows.cu"} == {"sweep", "sweep_from_zero"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("file", FILES)
def test_kernels_compile_without_spills(file, architecture, record_property):
    if nvrtc.find_library() is None:
        pytest.skip("nvidia-cuda-nvrtc-cu12 is not installed")
    found = nvrtc.compile_cubin(kernel_folder(), file, names_in(file), architecture, DEVICE_FLAGS)
    for name, used in found.items():
        record_property(name, f"{used.registers} registers, {used.frame} bytes of stack")
    assert {name: used for name, used in found.items() if used.spill_stores or used.spill_loads or used.frame} == {}
    assert max(used.registers for used in found.values()) <= 255


def test_a_broken_source_gives_the_log_with_its_line(tmp_path):
    if nvrtc.find_library() is None:
        pytest.skip("nvidia-cuda-nvrtc-cu12 is not installed")
    shutil.copy(kernel_folder() / "host.h", tmp_path)
    (tmp_path / "broken.cu").write_text('#include "host.h"\nSCI_KERNEL broken(SCI_INDEX double* x) { *x = missing; }\n')
    with pytest.raises(nvrtc.CompileError, match=r"broken\.cu\(2\)[\s\S]*missing"):
        nvrtc.compile_cubin(tmp_path, "broken.cu", ["broken"], "sm_90", DEVICE_FLAGS)


@pytest.mark.parametrize("file", FILES)
def test_nvcc_takes_each_source(file, tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not on PATH")
    # One instance of each template: explicit instantiation needs the types of its arguments, a launch does not.
    first = {name.partition("<")[0]: name for name in reversed(names_in(file))}
    parameters = {kernel.name: kernel.parameters for kernel in KERNELS if kernel.file == file}
    launches = [
        f"{name}<<<1, SCI_BLOCK>>>("
        + ", ".join(f"({p.c_type}{'*' if p.dims else ''})0" for p in parameters[name])
        + ");"
        for name in first.values()
    ]
    source = tmp_path / "launches.cu"
    source.write_text(f'#include "{file}"\nvoid launches() {{ {" ".join(launches)} }}\n')
    # NVRTC has compiled for every architecture; nvcc's own front end sees the same source whatever the target.
    command = [nvcc, *DEVICE_FLAGS, f"-I{kernel_folder()}", "-arch=sm_90", "-Xptxas=-v", "-cubin", str(source)]
    done = subprocess.run([*command, "-o", str(tmp_path / "out.cubin")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    assert len(spills) >= len(first), done.stderr
    assert set(spills) == {("0", "0")}, done.stderr
