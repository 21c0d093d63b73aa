"""Nothing half-written under the final name: after exceptions, kills, and on a full disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections import namedtuple

import numpy as np
import pytest

from sci.errors import FileFormatError, InvalidValueError
from sci.io import load, save, write_cube, write_dx
from sci.io.core.atomic_write import replacing
from sci.potentials.grid import PotentialGrid
from sci.potentials.particles import Particles

GRID = PotentialGrid(np.arange(60.0).reshape(3, 4, 5), (0, 0, 0), (1, 1, 1))


def test_an_exception_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise InvalidValueError("mine")

    with pytest.raises(InvalidValueError, match="mine"):
        fail()
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "write", [save, write_dx, lambda path, grid: write_cube(path, grid, Particles([[0, 0, 0]], [1]))]
)
def test_places_that_cannot_be_written(tmp_path, write):
    with pytest.raises(FileFormatError, match=r"the folder .*none does not exist; create it first"):
        write(tmp_path / "none" / "a", GRID)
    with pytest.raises(FileFormatError, match="this is a directory"):
        write(tmp_path, GRID)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileFormatError, match=r"the folder .*file is a file"):
        write(tmp_path / "file" / "a", GRID)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_too_little_space_is_seen_before_writing(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 90, 10))
    with pytest.raises(FileFormatError, match=r"a\.h5: the disk is full .* 0\.0 MB needed, 0\.0 MB free in .*another"):
        save(tmp_path / "a.h5", GRID)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.h5", "a.dx"])
def test_a_disk_that_fills_up_while_writing(tmp_path, name):
    """A limit on the size of files stands for a full disk: the kernel refuses the write in the same way."""
    program = textwrap.dedent(f"""
        import resource, signal
        import numpy as np
        from sci.errors import FileFormatError
        from sci.io import save, write_dx
        from sci.potentials.grid import PotentialGrid
        grid = PotentialGrid(np.random.default_rng(1).normal(size=(64, 64, 64)), (0, 0, 0), (1, 1, 1))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        try:
            (save if {name!r}.endswith("h5") else write_dx)({str(tmp_path / name)!r}, grid)
        except FileFormatError as error:
            print(error)
    """)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.startswith(f"{tmp_path / name}: the disk is full or its quota is used up: ")
    assert list(tmp_path.iterdir()) == []


def test_killed_at_any_moment_leaves_a_whole_file_or_none(tmp_path):
    """Kill a process that saves in a loop at random moments: SCI_KILLS times, 6 unless set."""
    kills = int(os.environ.get("SCI_KILLS", "6"))
    program = textwrap.dedent(f"""
        import itertools, os, pathlib, random, signal, time
        import numpy as np
        from sci.io import save
        from sci.potentials.grid import PotentialGrid
        grids = [PotentialGrid(np.full((40, 40, 40), v), (0, 0, 0), (1, 1, 1)) for v in (1.0, 2.0)]
        rng, folder = random.Random(3), pathlib.Path({str(tmp_path)!r})
        for trial in range({kills}):
            child = os.fork()
            if child == 0:
                for i in itertools.count():
                    save(folder / f"{{trial}}_{{i % 3}}.h5", grids[i % 2])
            while trial % 3 and not (folder / f"{{trial}}_1.h5").exists():
                time.sleep(0.001)
            time.sleep(rng.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    """)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120 + 5 * kills)
    whole = list(tmp_path.glob("*.h5"))
    assert len(whole) >= kills
    for path in whole:
        values = load(path).values
        assert values.min() == values.max() != 0
    assert list(tmp_path.glob(".*.tmp")), "no kill came while a file was being written"
