"""Nothing half-written under the final name: after exceptions, kills, and on a full disk."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
from collections import namedtuple

import numpy as np
import pytest

from sci.errors import FileFormatError, InvalidValueError
from sci.io import load, save, write_cube, write_dx
from sci.io.core.atomic_write import replacing, sync
from sci.potentials.grid import PotentialGrid
from sci.potentials.particles import Particles

GRID = PotentialGrid(np.arange(60.0).reshape(3, 4, 5), (0, 0, 0), (1, 1, 1))


def test_an_exception_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path, overwrite=True) as temporary:
            temporary.write_text("half")
            raise InvalidValueError("mine")

    with pytest.raises(InvalidValueError, match="mine"):
        fail()
    assert path.read_text() == "old"
    with replacing(path, overwrite=True) as temporary:
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
    with pytest.raises(FileFormatError, match=r"a\.h5: the disk is full: 66\.1 kB needed, 0\.0 kB free in .*another"):
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
    assert run.stdout.startswith(f"{tmp_path / name}: the file is larger than this process may write (ulimit -f): ")
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
                    save(folder / f"{{trial}}_{{i % 3}}.h5", grids[i % 2], overwrite=True)
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


def test_devices_pipes_and_sockets_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        os.symlink("/dev/null", tmp_path / "link")
        for name, what in (("pipe", "pipe"), ("socket", "socket"), ("link", "device")):
            with pytest.raises(FileFormatError, match=f"this is a {what}; expected the name of a file to write"):
                save(tmp_path / name, GRID)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe", "socket"]


def test_a_device_node_stays_one(tmp_path):
    """`-o` on a node of a device made a file of it."""
    try:
        os.mknod(tmp_path / "node", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making device nodes is not allowed here")
    with pytest.raises(FileFormatError, match="this is a device"):
        write_dx(tmp_path / "node", GRID)
    assert stat.S_ISCHR((tmp_path / "node").stat().st_mode)


def test_links_are_followed_and_modes_kept(tmp_path):
    (tmp_path / "deep").mkdir()
    target = tmp_path / "deep" / "a.h5"
    target.write_text("old")
    target.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(target, 12, 34)
    (tmp_path / "link.h5").symlink_to(target)
    save(tmp_path / "link.h5", GRID, overwrite=True)
    assert (tmp_path / "link.h5").is_symlink()
    assert load(target).shape == GRID.shape
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    if os.geteuid() == 0:
        assert (target.stat().st_uid, target.stat().st_gid) == (12, 34)
    (tmp_path / "new.h5").symlink_to(tmp_path / "deep" / "b.h5")
    save(tmp_path / "new.h5", GRID)
    assert (tmp_path / "deep" / "b.h5").is_file()


def test_long_names(tmp_path):
    save(tmp_path / ("a" * 255), GRID)
    with pytest.raises(FileFormatError, match="a name of 256 bytes"):
        save(tmp_path / ("a" * 256), GRID)


@pytest.mark.parametrize(("code", "fails"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_file_systems_that_cannot_flush_folders(tmp_path, monkeypatch, code, fails):
    """CIFS and some FUSE file systems answer EINVAL; an error of the disk stays one."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    if fails:
        with pytest.raises(FileFormatError, match="Input/output error"):
            save(tmp_path / "a.h5", GRID)
    else:
        save(tmp_path / "a.h5", GRID)
        assert load(tmp_path / "a.h5").shape == GRID.shape
    with monkeypatch.context() as context:
        context.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EINVAL, "file")))
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match="file"):
            sync(tmp_path / "file")
