"""Every kernel instance on the CPU against its NumPy reference, and once under the address sanitizer."""

from __future__ import annotations

import math
import mmap
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from kernel_cases import arguments_of, assert_agrees, is_single
from numpy.polynomial.chebyshev import chebder, chebval3d

from sci.kernels import Kernel, every_kernel, get_kernel, kernel_folder, launch
from sci.kernels.compile import HostSettings, host_library

KERNELS = every_kernel()
HERE = Path(__file__).parent
MAP_NORESERVE = 0x4000


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile all instances at once, on all cores: cold, this is what the tests take."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(host_library, settings=HostSettings.of_now()), KERNELS))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{Path(kernel.file).stem}.{kernel.name}")
def test_kernel_agrees_with_its_reference(kernel: Kernel) -> None:
    assert assert_agrees(kernel, 1e-6 if is_single(kernel) else 1e-13) >= 5


def _smallest_of_each_template() -> list[str]:
    """One instance for each template and choice of flags, of the first dtype and the lowest degree."""
    chosen: dict[tuple[str, str, tuple[int, ...]], str] = {}
    for kernel in KERNELS:
        name, arguments = arguments_of(kernel)
        chosen.setdefault(
            (kernel.file, name, tuple(a for a in arguments if a in (0, 1))), f"{kernel.file}:{kernel.name}"
        )
    return list(chosen.values())


SANITIZED = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from kernel_cases import assert_agrees
from sci.kernels import compile, every_kernel
del os.environ["LD_PRELOAD"]  # here it has done its work; in the compiler it would only cost time
flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-sanitize=alignment", "-O0")
compile.HOST_FLAGS = tuple(f for f in compile.HOST_FLAGS if f != "-O3") + flags
chosen = [kernel for kernel in every_kernel() if f"{kernel.file}:{kernel.name}" in sys.argv[1:]]
symbols = {kernel: f"sci_{number}" for number, kernel in enumerate(chosen)}

def together(file):  # one compiler for all instances of a source: starting it takes longer than an instance
    of_file = [kernel for kernel in chosen if kernel.file == file]
    text = f'#include "{file}"\\n' + "".join(compile.function_text(k, symbols[k]) for k in of_file)
    included = compile._sources(of_file[0].folder, file)
    flags = [*compile.HOST_FLAGS, f"-DSCI_BLOCK={compile.HOST_BLOCK}"]
    unit = compile._Unit(file, file.replace("/", "_"), text, included, flags)
    return compile._library(unit, compile.HostSettings.of_now())

files = sorted({kernel.file for kernel in chosen})
with ThreadPoolExecutor(os.cpu_count()) as pool:
    libraries = dict(zip(files, pool.map(together, files)))
alone = compile.host_library  # for instances that a case needs beside its own

def library(kernel, settings):
    if kernel not in symbols:
        return alone(kernel, settings)
    return SimpleNamespace(sci_launch=getattr(libraries[kernel.file], symbols[kernel]))

compile.host_library = library
for kernel in chosen:
    assert_agrees(kernel, 1e-5 if "<float" in kernel.name else 1e-12)
print("clean")
"""


def _sanitizers() -> str:
    found = []
    for library in ("libasan.so", "libubsan.so"):
        command = ["g++", f"-print-file-name={library}"]
        path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        if "/" not in path:
            pytest.skip(f"{library} is not installed")
        found.append(path)
    return " ".join(found)


def _run_sanitized(names: list[str], tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    if sys.platform != "linux" or shutil.which("g++") is None:
        pytest.skip("needs g++ on Linux")
    variables = {
        **os.environ,
        "LD_PRELOAD": _sanitizers(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(HERE.parent / "cases"),
        "SCI_CACHE_DIR": str(tmp_path / "cache"),
        "SCI_COMPILER": "g++",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    command = [sys.executable, "-c", SANITIZED, *names]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)


def test_kernels_stay_inside_their_arrays(tmp_path):
    done = _run_sanitized(_smallest_of_each_template(), tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.strip() == "clean"


def test_the_sanitizer_sees_a_wrong_index(tmp_path):
    sources = tmp_path / "kernels"
    shutil.copytree(kernel_folder(), sources)
    path = sources / "particles" / "direct_sum.cu"
    text = path.read_text()
    assert text.count("if (i < m)") == 1
    path.write_text(text.replace("if (i < m)", "if (i < m + 40)"))
    done = _run_sanitized(
        ["particles/direct_sum.cu:direct_sum<double, false, false>"], tmp_path, SCI_KERNEL_PATH=str(sources)
    )
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr


def _sparse(*shape: int, dtype: type = np.float64) -> np.ndarray:
    """Zeros of which only the touched pages take memory."""
    try:
        memory = mmap.mmap(-1, 8 * math.prod(shape), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    except OSError as error:
        pytest.skip(f"no address space for {shape}: {error}")
    return np.frombuffer(memory, dtype).reshape(shape)


@pytest.mark.skipif(sys.platform != "linux", reason="needs memory without reserve")
def test_indices_beyond_2_to_31():
    """Targets, results, coefficients and moments whose last entries lie beyond 2^31, in memory that is not there."""
    p, boxes, n = 6, (300, 300, 300), 2**31 // 3 + 7
    last, rng = math.prod(boxes) - 1, np.random.default_rng(5)
    inner = 2 * np.array([0.3, 0.6, 0.8]) - 1
    geometry = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    coefficients, targets, out = _sparse(*(b * p for b in boxes)), _sparse(n, 3), _sparse(n, 4)
    order = _sparse(n, dtype=np.int64)
    block = rng.normal(size=(p, p, p))
    coefficients[-p:, -p:, -p:] = block
    targets[-1] = np.array(boxes) - 1 + np.array([0.3, 0.6, 0.8])
    order[0] = n - 1
    tile_start, tile_box = np.array([0, 1]), np.array([last])
    assert min(3 * n, coefficients.size) > 2**31
    launch(
        get_kernel("particles/boxes.cu", "evaluate_boxes", np.float64, p, True),
        1,
        *(coefficients, geometry, targets, order, tile_start, tile_box, out, 1, *boxes[1:]),
    )
    assert out[-1, 0] == pytest.approx(chebval3d(*inner, block), rel=1e-11)
    assert out[-1, 3] == pytest.approx(2 * chebval3d(*inner, chebder(block, axis=2)), rel=1e-11)

    p = 8
    boxes, last = (250, 250, 250), 250**3 - 1
    starts, moments = _sparse(last + 2, dtype=np.int64), _sparse(*(b * p for b in boxes))
    starts[-1] = 1
    rows = [rng.normal(size=(1, p)) for _ in range(3)]
    assert moments.size > 2**31
    kernel = get_kernel("particles/boxes.cu", "box_moments", np.float64, p)
    launch(kernel, last + 1, *rows, starts, moments, last + 1, *boxes[1:])
    np.testing.assert_allclose(moments[-p:, -p:, -p:], np.einsum("ai,aj,ak->ijk", *rows), rtol=1e-14)


BLOCK_INDEX = (
    r"[0-5]|\w+ < \d \? \d : \d|t|j|[DP] - 2|C - 1|t \+ 1|row_of\([ef]\)|place\(\w, \w\)|a [/%] 3|e \+ 1"
    r"|SCI_SLOT\(t\)|threadIdx\.x|Lane<T>::N / 2|code_of\(.*\)|at_most\(WIDTH|at_most\(DEPTH"
    r"|\(u \* SCI_BLOCK \+ t\) / WIDTH|\(ia / PART .*|shelf\.count\+\+|nc - c0 < DEPTH .*|last_c - Z .*"
    r"|level == 0 \? W : W / 2|t / part \* part|t % W|first|line\[k\] \+ line\[next\]|threshold\[.*\]|from\[t\] \+ .*"
    r"|bit_length\(.*\)|bits - 2|56|model\[1\]|int\(miss .*|WIDTH|side >> 1|length\[i\]"
)
"""What an `int` may start from: numbers below the width of a block, its tile, its shelf or its polynomials; codes of a
byte; bits of a word; errors in steps; sums of neighboring spins and what stands in a table; at most two links."""


def test_no_int_holds_a_product_of_lengths():
    """In the sources, `int` is a loop index within a block or a polynomial, never made from a length or an offset."""
    for path in kernel_folder().rglob("*.cu"):
        for line in path.read_text().splitlines():
            code = line.partition("//")[0]
            if re.search(r"\bint \w+ = ", code) and "constexpr" not in code:
                assert re.search(rf"\bint \w+ = ({BLOCK_INDEX})\s*[;,]", code), f"{path.name}: {line.strip()}"
