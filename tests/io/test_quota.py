"""A user whose quota is used up: a clear message, nothing half written, and kernels that go elsewhere.

A library that is loaded before the C library counts what a process writes below a folder, and answers as a file system
with quotas does: a local one at the write, NFS when the file is flushed. Where btrfs can be mounted, its real quotas
are tried too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sci.io import save
from sci.potentials import Particles

QUOTA = 3 * 2**20
SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
static long long left;
void quota_left(long long n) { left = n; }
static int counts(int file) {
    char link[40], path[PATH_MAX];
    const char* folder = getenv("QUOTA_FOLDER");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const long n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || !folder) return 0;
    path[n] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}
static int refuses(int file, size_t n) {
    if (!counts(file)) return 0;
    left = left > (long long)n ? left - (long long)n : 0;
    if (left || getenv("QUOTA_AT_FLUSH")) return 0;
    errno = EDQUOT;
    return 1;
}
ssize_t write(int file, const void* data, size_t n) {
    return refuses(file, n) ? -1 : syscall(SYS_write, file, data, n);
}
ssize_t pwrite(int file, const void* data, size_t n, off_t at) {
    return refuses(file, n) ? -1 : syscall(SYS_pwrite64, file, data, n, at);
}
ssize_t pwrite64(int file, const void* data, size_t n, off_t at) { return pwrite(file, data, n, at); }
ssize_t sendfile64(int file, int from, off_t* at, size_t n) {
    return refuses(file, n) ? -1 : syscall(SYS_sendfile, file, from, at, n);
}
ssize_t copy_file_range(int from, off_t* start, int file, off_t* at, size_t n, unsigned flags) {
    return refuses(file, n) ? -1 : syscall(SYS_copy_file_range, from, start, file, at, n, flags);
}
int fsync(int file) {
    if (left == 0 && getenv("QUOTA_AT_FLUSH") && counts(file)) {
        errno = EDQUOT;
        return -1;
    }
    return (int)syscall(SYS_fsync, file);
}
"""
START = """
import ctypes, os
import numpy as np
from sci.errors import DiskFullError
from sci.io import save, save_samples, save_slabs, write_dx
from sci.potentials import Particles, PotentialGrid, Trajectory
rng = np.random.default_rng(1)
ion = Particles([[0.0, 0.0, 0.0]], [1.0])
forces = rng.normal(size=(9, 9000, 3))
cube = PotentialGrid(rng.normal(size=(32, 32, 32)), (0, 0, 0), (1, 1, 1))
planes = lambda: (PotentialGrid(cube.values[:, :, k:k + 1], (0, 0, k), (1, 1, 1)) for k in range(32))
"""
WRITERS = {
    "a grid": "save(path, cube, overwrite=True)",
    "a packed grid in slabs": "save_slabs(path, planes(), 32, compression=1, overwrite=True)",
    "many small arrays": "save(path, ion, results={f'r{k}': rng.normal(size=900) for k in range(60)}, overwrite=True)",
    "samples": "save_samples(path, rng.normal(size=(9, 100, 100)), rng.normal(size=(9, 3)), overwrite=True)",
    "a trajectory": "save(path, Trajectory(np.arange(9), rng.normal(size=9), forces, 9), overwrite=True)",
    "text": "write_dx(path, cube, overwrite=True)",
}
SAID = (
    r"(new|old)\.h5: your quota on this file system is used up: (\S+ [kM]B|more space is) needed; remove files "
    r"of yours \(`quota -s` tells what counts\) or write to another folder"
)
CALLS = ", ".join(f"{name!r}: lambda path: {call}" for name, call in WRITERS.items())
PROGRAM = f"""{START}
before = open("old.h5", "rb").read()
for when, left in PLACES:
    os.environ.pop("QUOTA_AT_FLUSH", None)
    if when == "at the flush":
        os.environ["QUOTA_AT_FLUSH"] = "1"
    for name, call in {{{CALLS}}}.items():
        for path in ("new.h5", "old.h5"):
            ctypes.CDLL(None).quota_left(left)
            try:
                call(path)
                print(name, path, when, left, "was written")
            except DiskFullError as error:
                print(error)
            assert sorted(os.listdir()) in (["old.h5"], ["full", "old.h5"]), os.listdir()
            assert open("old.h5", "rb").read() == before
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that plays a file system with quotas."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the shim needs a C compiler on Linux")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "quota.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", folder / "quota.so", folder / "quota.c"], check=True)
    return folder / "quota.so"


def _run(program: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=folder, env=environment
    )


def _old_file(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    save(folder / "old.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    return folder


def test_writers_say_so_and_leave_what_was_there(shim: Path, tmp_path: Path) -> None:
    """Wherever in the file the quota ends, for a new file and for one that is to be replaced."""
    folder = _old_file(tmp_path / "mine")
    places = [*(("at a write", left) for left in (0, 3_000, 150_000)), ("at the flush", 0)]
    done = _run(PROGRAM.replace("PLACES", repr(places)), folder, LD_PRELOAD=str(shim), QUOTA_FOLDER=str(folder))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(places) * len(WRITERS)
    assert [line for line in lines if not re.fullmatch(SAID, line)] == []


COMMANDS = {
    "a file as it is": "dataset ubiquitin -o b.pqr",
    "a potential and its picture": "potential a.pqr -o a.h5 --grid 32 --plot a.png --quiet",
    "a page": "report old.h5 -o a.html --quiet",
}


@pytest.mark.parametrize(
    "line",
    [pytest.param(v, id=k, marks=[] if "dataset" in v else [pytest.mark.nightly]) for k, v in COMMANDS.items()],
)
def test_a_command_says_so_in_one_line_and_ends_with_1(shim: Path, tmp_path: Path, line: str) -> None:
    folder = _old_file(tmp_path / "mine")
    (folder / "a.pqr").write_text("ATOM 1 NA NA 1 0.0 0.0 0.0 1.0 1.0\nATOM 2 CL CL 2 2.8 0.0 0.0 -1.0 1.0\n")
    program = f"""
import ctypes, os, shlex
from sci.cli import main
ctypes.CDLL(None).quota_left(2_000)
print(main(shlex.split({line!r})), flush=True)
assert sorted(os.listdir()) == ["a.pqr", "old.h5"], os.listdir()
"""
    done = _run(program, folder, LD_PRELOAD=str(shim), QUOTA_FOLDER=str(folder))
    assert (done.returncode, done.stdout.split()) == (0, ["1"]), done.stdout + done.stderr
    (said,) = done.stderr.splitlines()
    assert said.startswith("sci: error: ")
    assert "your quota on this file system is used up" in said


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("when", ["at a write", "at the flush"])
def test_a_cache_over_quota_costs_a_warning(shim: Path, tmp_path: Path, when: str) -> None:
    (tmp_path / "cache").mkdir()
    program = """
import warnings
import numpy as np, sci
from sci.potentials import Particles, direct_sum
with warnings.catch_warnings(record=True) as caught, sci.options(kernels="native", threads=1):
    warnings.simplefilter("always")
    print(direct_sum(Particles([[0.0, 0.0, 0.0]], [2.0]), np.array([[0.0, 0.0, 4.0]]))[0])
print(*(w.message for w in caught), sep="\\n")
"""
    variables = {
        "LD_PRELOAD": str(shim),
        "QUOTA_FOLDER": str(tmp_path / "cache"),
        "SCI_CACHE_DIR": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path),
    }
    variables |= {"QUOTA_AT_FLUSH": "1"} if when == "at the flush" else {}
    done = _run(program, tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    value, *warned = done.stdout.splitlines()
    assert float(value) == 0.5
    assert len(warned) == 1, warned
    assert "quota" in warned[0].lower()
    assert "SCI_CACHE_DIR" in warned[0]
    assert {path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()} <= {".lock"}


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """A folder of three megabytes by quota, on a file system with more."""
    place, image = tmp_path / "disk", tmp_path / "image"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(2**28)
    steps = (
        *(["mkfs.btrfs", "-q", image], ["mount", "-o", "loop", image, place], ["btrfs", "quota", "enable", place]),
        *(["btrfs", "subvolume", "create", place / "mine"], ["btrfs", "qgroup", "limit", "3M", place / "mine"]),
    )
    try:
        if shutil.which("btrfs") is None or any(
            subprocess.run(step, capture_output=True, check=False).returncode for step in steps
        ):
            pytest.skip("btrfs cannot be mounted here")
        yield place / "mine"
    finally:
        subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


@pytest.mark.nightly
def test_a_real_quota(btrfs: Path) -> None:
    folder = _old_file(btrfs)
    program = PROGRAM.replace("PLACES", "[('at a write', 0)]").replace("ctypes.CDLL(None).quota_left(left)", FILL)
    done = _run(program, folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(WRITERS)
    assert all(": your quota on this file system is used up: " in line for line in lines)


FILL = f"""
            import contextlib
            with contextlib.suppress(OSError), open("full", "wb", buffering=0) as file:
                for _ in range({QUOTA} // 4096):
                    file.write(bytes(4096))
            with contextlib.suppress(OSError):
                os.truncate("full", os.path.getsize("full") - 100_000)
"""
