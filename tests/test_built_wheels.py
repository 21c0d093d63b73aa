"""What `make wheels` built: weight, tags, contents, and the main job without a compiler; `make test-wheels` runs it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from wheel_environment import make_environment, run_clean

import sci
from sci.distribution import KERNELS_NAME
from sci.kernels.compile import source_digest
from sci.kernels.prebuild import _LEFT_TO_LOWER, shipped_kernels
from sci.kernels.prebuilt import LEVELS, PACKAGE, key

pytestmark = pytest.mark.nightly

CHECKOUT = Path(__file__).resolve().parents[1]
DIST = CHECKOUT / "dist"
HEAVIEST = 3_000_000
"""Bytes of any wheel: that of the Python and the data, and those of the kernels of all levels."""
SLOWEST = {"x86-64-v4": 1.05, "x86-64-v3": 2.1}
"""Largest processor time over that of kernels compiled for this processor."""


def _wheel(name: str, machine: str = "-none-any") -> Path:
    found = list(DIST.glob(f"{name}-*{machine}.whl"))
    assert len(found) == 1, f"dist has {[path.name for path in DIST.glob('*')]}; run make wheels"
    return found[0]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and this machine's kernels."""
    wheel = Path(shutil.copy(_wheel("sci_hpc"), tmp_path_factory.mktemp("built")))
    return make_environment(wheel, _wheel(PACKAGE, platform.machine()))


def test_dist_holds_the_sources_and_wheels_that_are_light() -> None:
    found = {path.name: path.stat().st_size for path in DIST.iterdir()}
    version = sci.__version__
    assert {name for name in found if "many" not in name} == {
        f"sci_hpc-{version}.tar.gz",
        f"sci_hpc-{version}-py3-none-any.whl",
        f"{PACKAGE}-{version}-py3-none-any.whl",
    }
    assert len(found) == 3 + len(LEVELS)
    assert {name: size for name, size in found.items() if name.endswith(".whl") and size > HEAVIEST} == {}


@pytest.mark.parametrize("name", ["sci_hpc", PACKAGE])
def test_wheels_for_any_machine_hold_no_library(name: str) -> None:
    with zipfile.ZipFile(_wheel(name)) as archive:
        assert not [path for path in archive.namelist() if path.endswith(".so")]
        (metadata,) = (archive.read(path).decode() for path in archive.namelist() if path.endswith("/METADATA"))
    asked = re.findall(rf"^Requires-Dist: {KERNELS_NAME}==(.*)$", metadata, re.M)
    assert asked == ([sci.__version__] if name == "sci_hpc" else [])


@pytest.mark.parametrize("machine", LEVELS)
def test_kernels_run_on_old_systems(machine: str) -> None:
    path = _wheel(PACKAGE, machine)
    assert f"manylinux_2_17_{machine}" in path.name
    assert path.name.startswith(f"{PACKAGE}-{sci.__version__}-py3-none-")
    with zipfile.ZipFile(path) as archive:
        assert f"{PACKAGE}/LICENSE" in archive.namelist()


@pytest.mark.parametrize("machine", LEVELS)
def test_a_wheel_brings_every_kernel_for_every_level(machine: str) -> None:
    """But those that a level takes from the one below, where they are as fast."""
    with zipfile.ZipFile(_wheel(PACKAGE, machine)) as archive:
        for level in LEVELS[machine]:
            left = _LEFT_TO_LOWER.get(level, ())
            kernels = [kernel for kernel in shipped_kernels() if kernel.file not in left]
            expected = {key(kernel) for kernel in kernels}
            digests = {kernel.file: source_digest(kernel) for kernel in kernels}
            folder = f"{PACKAGE}/{level}"
            manifest = json.loads(archive.read(f"{folder}/manifest.json"))
            assert set(manifest["symbols"]) == expected
            assert manifest["digests"] == digests, "the wheel is of other sources; run make wheels"
            assert archive.getinfo(f"{folder}/libsci.so").file_size == manifest["size"]


JOB = ["potential", str(CHECKOUT / "sci/datasets/data/1ubi.pqr"), "-o", "1ubi.h5", "--tol", "1e-6", "--grid", "48"]


@pytest.mark.parametrize("compiler", ["with a compiler", "without one"])
def test_the_main_job_starts_no_process(python: Path, tmp_path: Path, compiler: str) -> None:
    """The system calls show threads that are started, and no process but the `uname -p` of h5py's import."""
    strace = shutil.which("strace")
    assert strace is not None, "needs strace; on Debian: apt-get install strace"
    command = [
        strace,
        "-f",
        "-qq",
        "-o",
        str(tmp_path / "calls"),
        "-e",
        "trace=execve,execveat,fork,vfork,clone,clone3",
    ]
    path = os.environ["PATH"] if compiler == "with a compiler" else str(tmp_path)
    variables = {"PATH": path, "SCI_KERNELS": "compiled", "SCI_THREADS": "2", "HOME": str(tmp_path)}
    done = run_clean([*command, str(python), "-m", "sci", *JOB], tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "1ubi.h5").is_file()
    assert not (tmp_path / "cache").exists()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert any("CLONE_THREAD" in call for call in calls), "the second thread of the kernels is not seen"
    tried = [Path(p).name for p in re.findall(r'exec\w+\("([^"]+)"', "\n".join(calls))]
    processes = [c for c in calls if re.search(r"\b(?:v?fork|clone3?)\(", c) and "CLONE_THREAD" not in c]
    assert set(tried[1:]) <= {"uname"}
    assert len(processes) <= 1


def test_the_levels_are_nearly_as_fast_as_native_kernels(python: Path, tmp_path: Path) -> None:
    benchmark = str(CHECKOUT / "benchmarks" / "kernel_levels.py")
    done = run_clean([str(python), benchmark], tmp_path, OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    title, *rows = done.stdout.splitlines()
    levels = re.findall(r"x86-64-v\d", title)
    ratios = {(row[:36].strip(), level): float(r) for row in rows for level, r in zip(levels, row[46:].split())}
    assert len(ratios) >= 9 * len(levels) > 0
    assert {case: r for case, r in ratios.items() if r > SLOWEST.get(case[1], float("inf"))} == {}
