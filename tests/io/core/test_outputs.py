"""Names of outputs: one writer each, in commands and in scripts, also where locks are odd or missing."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from samples import make_objects, smoke_frames
from thread_ranks import ThreadComm, on_ranks

from sci.errors import FileFormatError, InvalidValueError
from sci.io import (
    compute_trajectory,
    join_parts,
    load,
    read_structure,
    reserve,
    save,
    save_grid_parallel,
    save_potential_file,
    save_samples,
    save_slabs,
    save_smoke,
    write_cube,
    write_dx,
)
from sci.io.core.atomic_write import replacing
from sci.io.core.outputs import free_space, write_error
from sci.plotting import plot_energies, plot_iterations, plot_plane, plot_potential, plot_prediction, plot_training
from sci.potentials import Particles, PotentialGrid

GRID = PotentialGrid(np.arange(24.0).reshape(2, 3, 4), (0, 0, 0), (1, 1, 1))
ION = Particles([[0.0, 0.0, 0.0]], [1.0])
OBJECTS = make_objects()


def _never() -> Iterator[PotentialGrid]:
    raise AssertionError("it computed before it looked whether it may write")
    yield GRID


WRITERS: dict[str, Callable[..., object]] = {
    "save": lambda path, **more: save(path, GRID, **more),
    "save_potential_file": lambda path, **more: save_potential_file(path, OBJECTS["potential"], grid=GRID, **more),
    "save_grid_parallel": lambda path, **more: save_grid_parallel(
        path, GRID, grid_shape=GRID.shape, local_start=(0, 0, 0), **more
    ),
    "save_slabs": lambda path, **more: save_slabs(path, [GRID] if more else _never(), 4, **more),
    "save_samples": lambda path, **more: save_samples(path, np.ones((2, 3)), np.ones((2, 3)), **more),
    "save_smoke": lambda path, **more: save_smoke(path, smoke_frames() if more else _never(), **more),
    "write_dx": lambda path, **more: write_dx(path, GRID, **more),
    "write_cube": lambda path, **more: write_cube(path, GRID, ION, **more),
    "replacing": lambda path, **more: _replace(path, **more),
}


def _replace(path: Path, **more: bool) -> None:
    with replacing(path, **more) as temporary:
        temporary.write_text("new")


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_replaced_unasked(tmp_path: Path, name: str) -> None:
    """Every writer refuses a file that exists, before it computes, and takes `overwrite=True`."""
    path = tmp_path / "a.out"
    path.write_text("mine")
    with pytest.raises(
        InvalidValueError, match=r"a\.out exists; choose another name, or replace it with overwrite=True"
    ):
        WRITERS[name](path)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["a.out"]
    WRITERS[name](path, overwrite=True)
    assert not path.read_bytes().startswith(b"mine")
    assert list(tmp_path.glob(".*")) == []


def test_joined_parts_trajectories_and_pictures_replace_nothing_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("mine")
    save(tmp_path / "grid.h5", GRID)
    (tmp_path / "a.xyz").write_text("2\nProperties=species:S:1:pos:R:3:charge:R:1\nA 0 0 0 1\nB 0 0 2 -1\n")
    compute_trajectory(tmp_path / "a.xyz", tmp_path / "run.h5")
    calls: list[Callable[..., object]] = [
        lambda **more: join_parts(tmp_path / "grid.h5", path, **more),
        lambda **more: compute_trajectory(tmp_path / "a.xyz", tmp_path / "run.h5", **more),
    ]
    pytest.importorskip("matplotlib")
    fields = np.ones((1, 4, 4))
    calls += [
        lambda **more: plot_energies(load(tmp_path / "run.h5"), path, **more),
        lambda **more: plot_iterations({"a": [(2, 3)]}, path, **more),
        lambda **more: plot_plane(OBJECTS["lattice"], path, ((-1, 8), (-1, 8)), 0.0, **more),
        lambda **more: plot_potential(OBJECTS["potential"], path, **more),
        lambda **more: plot_prediction(fields, fields, path, **more),
        lambda **more: plot_training(OBJECTS["checkpoint"], path, **more),
    ]
    for call in calls:
        with pytest.raises(InvalidValueError, match="overwrite=True"):
            call()
        call(overwrite=True)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_reservation_is_asked_once(tmp_path: Path) -> None:
    """A training reserves the name of its checkpoint, and then writes it as often as it likes."""
    path = tmp_path / "run.h5"
    with reserve(path):
        for _ in range(2):
            save(path, ION)
        with reserve(path):
            save(path, GRID)
        save(path, ION)
    with pytest.raises(InvalidValueError, match="exists"), reserve(path):
        pass
    with reserve(path, overwrite=True):
        save(path, GRID)
    assert load(path).shape == GRID.shape
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("none/a", "does not exist; create it first"), ("pipe", "this is a pipe"), ("a" * 256, "a name of 256 bytes")],
)
def test_a_name_that_takes_no_file_is_refused_at_once(tmp_path: Path, name: str, said: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match=said), reserve(tmp_path / name, overwrite=True):
        pass
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(FileFormatError), reserve(tmp_path / "loop", overwrite=True):
        pass


def test_two_threads_do_not_write_one_file(tmp_path: Path) -> None:
    path, said = tmp_path / "a.h5", []

    def other() -> None:
        for call in (lambda: save(path, ION, overwrite=True), lambda: reserve(path, overwrite=True).__enter__()):
            try:
                call()
            except InvalidValueError as error:
                said.append(str(error))

    def busy() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with replacing(path) as temporary:
        busy()
        temporary.write_text("mine")
    assert len(said) == 2
    assert all("another process or thread writes this file" in text for text in said)
    assert path.read_text() == "mine"
    with reserve(path, overwrite=True):  # a thread of the job that holds the name may write, none may take it
        busy()
    assert len(said) == 3
    assert load(path).n == 1


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Also where whoever made it takes no lock."""
    path = tmp_path / "a.txt"

    def slow() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new")
            path.write_text("theirs")

    with pytest.raises(InvalidValueError, match="exists"):
        slow()
    assert path.read_text() == "theirs"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    save(tmp_path / "a.h5", ION)
    assert load(tmp_path / "a.h5").n == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_a_name_that_is_taken_is_an_error_on_every_rank(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("mine")

    def body(comm: ThreadComm) -> str:
        try:
            with reserve(tmp_path / "a.h5", comm=comm):
                return "reserved"
        except InvalidValueError as error:
            return str(error)

    assert all("a.h5 exists" in said for said in on_ranks(3, body))


SHIMS = {
    # A lock of a whole file is one of bytes there: the readers' shared locks and the writers' exclusive ones meet.
    "as on NFS": """
int flock(int descriptor, int operation)
{
    struct flock whole = {0};
    whole.l_type = (operation & LOCK_UN) ? F_UNLCK : (operation & LOCK_EX) ? F_WRLCK : F_RDLCK;
    if (fcntl(descriptor, (operation & LOCK_NB) ? F_SETLK : F_SETLKW, &whole) == 0) return 0;
    if (errno == EACCES) errno = EAGAIN;
    return -1;
}
""",
    "folders that cannot be flushed": """
int fsync(int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) { errno = EINVAL; return -1; }
    return (int)syscall(SYS_fsync, descriptor);
}
""",
    "flock refused": "int flock(int descriptor, int how) { (void)descriptor; (void)how; errno = ENOSYS; return -1; }",
}
HEADERS = "#define _GNU_SOURCE\n" + "".join(
    f"#include <{name}.h>\n"
    for name in ("errno", "fcntl", "unistd", "sys/file", "sys/stat", "sys/syscall", "sys/types")
)


@pytest.fixture(params=SHIMS)
def odd_system(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return an environment in which a system call behaves as on some file systems."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the shim needs a C compiler on Linux")
    (tmp_path / "shim.c").write_text(HEADERS + SHIMS[request.param])
    shim = tmp_path / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, tmp_path / "shim.c"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    environment.pop("HDF5_USE_FILE_LOCKING", None)
    return environment


def test_readers_stop_no_writer_and_writers_no_reader(odd_system: dict[str, str], tmp_path: Path) -> None:
    """A reader keeps each file open while another process replaces it, and resumes a trajectory."""
    program = """
import os, subprocess, sys
import h5py, numpy as np
from sci.io import compute_trajectory, load, save
from sci.potentials import Particles
from sci.errors import InvalidValueError

def ion(charge):
    return Particles([[0.0, 0.0, 0.0]], [charge])

if sys.argv[1:] == ["write"]:
    save("a.h5", ion(2.0), overwrite=True)
    compute_trajectory("a.xyz", "run.h5", resume=True)
    try:
        save("a.h5", ion(3.0))
    except InvalidValueError as error:
        print(error)
else:
    frame = "2\\nProperties=species:S:1:pos:R:3:charge:R:1\\nA 0 0 0 1\\nB 0 0 2 -1\\n"
    open("a.xyz", "w").write(3 * frame)
    save("a.h5", ion(1.0))
    compute_trajectory("a.xyz", "run.h5")
    with h5py.File("run.h5", "r+", locking=False) as file:
        file["trajectory/checksums"][1] = -1
    assert len(load("run.h5").frames) == 2
    with h5py.File("a.h5", "r") as one, h5py.File("run.h5", "r") as two:
        print(subprocess.run([sys.executable, __file__, "write"], check=True, capture_output=True, text=True).stdout)
        assert len(load("run.h5").frames) == 3
    assert load("a.h5").charges[0] == 2.0
"""
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"], capture_output=True, text=True, timeout=200, cwd=tmp_path, env=odd_system
    )
    assert done.returncode == 0, done.stderr
    assert "a.h5 exists" in done.stdout
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_a_writer_that_another_program_locked_out_is_told_how_to_read(tmp_path: Path) -> None:
    """HDF5's own lock, of a program that has the file open for writing."""
    save(tmp_path / "a.h5", ION)
    hold = f"import h5py; f = h5py.File({str(tmp_path / 'a.h5')!r}, 'r+'); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as holder:
        holder.stdout.readline()
        with pytest.raises(FileFormatError, match="HDF5_USE_FILE_LOCKING=FALSE"):
            load(tmp_path / "a.h5")
        save(tmp_path / "a.h5", GRID, overwrite=True)  # it replaces the name; the other program keeps its old file
        holder.communicate(b"\n")
    assert load(tmp_path / "a.h5").shape == GRID.shape


def test_the_second_of_two_scripts_is_refused_before_it_computes(tmp_path: Path) -> None:
    """The first is killed in the end; its lock then holds nothing."""
    pytest.importorskip("fcntl")
    program = """
import sys, time
import numpy as np
from sci.io import save_slabs
from sci.potentials import PotentialGrid
def parts():
    print("computing", flush=True)
    time.sleep(600)
    yield
save_slabs("a.h5", parts(), 4)
"""
    settings = {"stdout": subprocess.PIPE, "cwd": tmp_path}
    with subprocess.Popen([sys.executable, "-c", program], **settings) as first:
        assert first.stdout.readline() == b"computing\n"
        second = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path
        )
        assert second.stdout == ""
        assert "InvalidValueError: a.h5: another process or thread writes this file" in second.stderr
        first.kill()
    save_slabs(tmp_path / "a.h5", [GRID], 4)
    assert load(tmp_path / "a.h5").shape == GRID.shape


def test_free_space(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    assert free_space(tmp_path) == pytest.approx(found.f_bavail * found.f_frsize, rel=0.1)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EDQUOT, "your quota on this file system is used up"),
        (errno.ENOSPC, "the disk is full"),
        (errno.EFBIG, "ulimit -f"),
    ],
)
def test_what_is_used_up_is_named_also_where_hdf5_tells_it_as_text(number: int, said: str, tmp_path: Path) -> None:
    for error in (OSError(number, os.strerror(number)), RuntimeError(f"can't write: {os.strerror(number)}, errno")):
        text = str(write_error(tmp_path / "a.h5", error, 2000))
        assert said in text
        assert "2.0 kB needed" in text


def test_a_name_that_is_too_long_is_shown_short(tmp_path: Path) -> None:
    """A reader said of such a name that the file was damaged."""
    path = tmp_path / f"{'x' * 300}.h5"
    for action in (
        lambda: load(path),
        lambda: save(path, make_objects()["particles"]),
        lambda: read_structure(path, format="pqr"),
    ):
        with pytest.raises(FileFormatError, match=r"x\.\.\.: a name of 303 bytes, .* use a shorter one") as caught:
            action()
        assert len(str(caught.value)) < 200
