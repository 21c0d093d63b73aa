"""A disk that is full, for real: a small tmpfs. Our message, no noise, and a process that ends as it should."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

SIZE = 2**21
START = """
import shutil, sys, types
import numpy as np
if "late" in sys.argv:  # another job fills the disk after the check
    shutil.disk_usage = lambda path: types.SimpleNamespace(free=2**40)
from sci.errors import DiskFullError
from sci.io import *
from sci.potentials import Particles, PotentialGrid, Trajectory
from sci.applications import SmokePlume
rng = np.random.default_rng(1)
ion = Particles([[0.0, 0.0, 0.0]], [1.0])
cube = PotentialGrid(rng.normal(size=(64, 64, 64)), (0, 0, 0), (1, 1, 1))
many = {f"r{k}": rng.normal(size=100) for k in range(3000)}
planes = (PotentialGrid(cube.values[:, :, k:k + 1], (0, 0, k), (1, 1, 1)) for k in range(64))
plume = SmokePlume((64, 96), np.zeros((64, 96), bool), np.eye(64, 96, dtype=bool))
"""
WRITERS = {
    "a grid": "save('a.h5', cube)",
    "a packed grid in slabs": "save_slabs('a.h5', planes, 64, compression=1)",
    "many small arrays": "save('a.h5', ion, results=many)",
    "frames": "save_smoke('a.h5', plume.run(0.01, 40))",
    "frames that are drawn": "save_smoke('a.vtkhdf', plume.run(0.01, 40))",
    "samples": "save_samples('a.h5', rng.normal(size=(9, 300, 300)), rng.normal(size=(9, 3)))",
    "a trajectory": "save('a.h5', Trajectory(np.arange(90), rng.normal(size=90), rng.normal(size=(90, 900, 3)), 90))",
    "text": "write_dx('a.dx', cube)",
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _run(program: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=folder)


def _program(names: Iterable[str], left: int) -> str:
    """Return a script that meets a full disk in each writer, and goes on."""
    calls = ", ".join(f"{name!r}: lambda: {WRITERS[name]}" for name in names)
    return f"""{START}
import contextlib, os, pathlib
for name, call in {{{calls}}}.items():
    with contextlib.suppress(OSError):
        pathlib.Path("full").write_bytes(bytes({SIZE - left}))
    print(name, end=": ", flush=True)
    try:
        call()
    except DiskFullError as error:
        print(error)
    os.unlink("full")
    save("b.h5", ion, overwrite=True)
    assert load("b.h5").n == 1 and os.listdir() == ["b.h5"]
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_script_goes_on_after_a_full_disk(disk: Path, when: str) -> None:
    """HDF5 2.0 ended the process with a segmentation fault, and printed a line for every small array."""
    done = _run(_program(WRITERS, 200_000), disk, when)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == len(WRITERS)
    for name, line in zip(WRITERS, lines):
        assert line.startswith(f"{name}: a.")
        assert ": the disk is full: " in line


@pytest.mark.parametrize("left", [8_192, 40_960, 400_000])
def test_however_little_is_left(disk: Path, left: int) -> None:
    """The moment at which the disk is full is another in each."""
    names = ("many small arrays", "a packed grid in slabs", "frames that are drawn")
    done = _run(_program(names, left), disk, "late")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count(": the disk is full: ") == len(names)


def test_a_command_says_so_and_ends_with_1(disk: Path) -> None:
    (disk / "full").write_bytes(bytes(SIZE - 50_000))
    (disk / "a.pqr").write_text("ATOM 1 NA NA 1 0.0 0.0 0.0 1.0 1.0\nATOM 2 CL CL 2 2.8 0.0 0.0 -1.0 1.0\n")
    words = ["potential", "a.pqr", "-o", "a.h5", "--grid", "48", "--quiet"]
    for when in ("early", "late"):
        program = f"{START}\nfrom sci.cli import main\nsys.exit(main({words!r}))"
        done = _run(program, disk, when)
        assert done.returncode == 1, done.stderr
        (line,) = done.stderr.splitlines()
        early, late = "sci: error: the job needs ", "sci: error: a.h5: the disk is full: "
        assert line.startswith(early if when == "early" else late)
        assert sorted(path.name for path in disk.iterdir()) == ["a.pqr", "full"]


def test_a_resumed_trajectory_keeps_its_frames(disk: Path) -> None:
    """It has its full size from the start; frames in place need no more of the disk."""
    frame = "2\nProperties=species:S:1:pos:R:3:charge:R:1\nA 0 0 0 1\nB 0 0 2 -1\n"
    (disk / "a.xyz").write_text(frame * 9)
    program = """
from sci.io import compute_trajectory, load
compute_trajectory("a.xyz", "a.h5")
open("full", "wb").write(bytes(2**20))
import contextlib
with contextlib.suppress(OSError), open("fuller", "wb") as file:
    file.write(bytes(2**22))
compute_trajectory("a.xyz", "a.h5", resume=True)
print(len(load("a.h5").frames))
"""
    done = _run(program, disk)
    assert (done.returncode, done.stdout) == (0, "9\n"), done.stderr
    assert os.statvfs(disk).f_bavail < 16
