"""Opening of HDF5 files: foreign ones, locks, permissions, memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import make_objects

from sci.errors import FileFormatError, InvalidValueError
from sci.io import kinds, load, load_grid, load_results, save

SHIM = """
#define _GNU_SOURCE
#include <errno.h>
#include <sys/file.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>
#include <sys/syscall.h>
int flock(int descriptor, int operation) { (void)descriptor; (void)operation; errno = ENOLCK; return -1; }
static int refuse(int descriptor, int command, va_list more)
{
    if (command == F_SETLK || command == F_SETLKW) { errno = ENOLCK; return -1; }
    return (int)syscall(SYS_fcntl, descriptor, command, va_arg(more, long));
}
int fcntl(int descriptor, int command, ...)
{ va_list more; va_start(more, command); int r = refuse(descriptor, command, more); va_end(more); return r; }
int fcntl64(int descriptor, int command, ...)
{ va_list more; va_start(more, command); int r = refuse(descriptor, command, more); va_end(more); return r; }
"""


def test_a_file_system_that_refuses_locks_is_read_and_written(tmp_path: Path) -> None:
    """A preloaded library answers every lock with ENOLCK, as some network file systems do."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the shim needs a C compiler on Linux")
    (tmp_path / "shim.c").write_text(SHIM)
    shim = tmp_path / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, tmp_path / "shim.c"], check=True)
    save(tmp_path / "a.h5", make_objects()["tucker"])
    (tmp_path / "a.xyz").write_text("2\nProperties=species:S:1:pos:R:3:charge:R:1\nA 0 0 0 1\nB 0 0 2 -1\n")
    code = (
        "from sci.cli import main; from sci.io import compute_trajectory, load, save\n"
        "found = load('a.h5'); save('b.h5', found)\n"
        "compute_trajectory('a.xyz', 'c.h5')\n"
        "assert main(['trajectory', 'a.xyz', '-o', 'd.h5', '--quiet']) == 0\n"
        "print(load('b.h5').core.shape, load('c.h5').energies, load('d.h5').energies)"
    )
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    environment.pop("HDF5_USE_FILE_LOCKING", None)
    command = [sys.executable, "-c", code]
    settings = {"capture_output": True, "text": True, "timeout": 120, "check": False, "cwd": tmp_path}
    done = subprocess.run(command, env=environment, **settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{load(tmp_path / 'a.h5').core.shape} [-0.5] [-0.5]"
    assert list(tmp_path.glob(".*")) == []


def test_foreign_files(tmp_path):
    path = tmp_path / "a.h5"
    for content in (b"", b"no HDF5", b"\x89HDF\r\n\x1a\n", bytes(5000)):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"a\.h5: damaged, or not an HDF5 file"):
            load(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(FileFormatError, match=r"not written by sci"):
        load(path)
    with pytest.raises(FileFormatError, match="no such file"):
        load(tmp_path / "none.h5")
    with pytest.raises(FileFormatError, match="this is a directory"):
        load(tmp_path)
    save(path, make_objects()["particles"], overwrite=True)
    with pytest.raises(FileFormatError, match="holds kind 'particles'; expected grid or potential"):
        load_grid(path)
    assert load_results(path) == {}
    with pytest.raises(InvalidValueError, match="cannot save a dict"):
        save(path, {})


def test_memory_that_is_not_there_is_named(tmp_path, monkeypatch):
    def greedy(group):
        return np.ones(2**45)

    save(tmp_path / "a.h5", make_objects()["tucker"])
    monkeypatch.setattr(kinds()["tucker"].codec, "read", greedy)
    with pytest.raises(MemoryError, match=r"a\.h5: Unable to allocate 256\. TiB .* more memory"):
        load(tmp_path / "a.h5")


def test_locked_files_are_named(tmp_path):
    save(tmp_path / "a.h5", make_objects()["tucker"])
    hold = f"import h5py; f = h5py.File({str(tmp_path / 'a.h5')!r}, 'r+'); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as holder:
        holder.stdout.readline()
        with pytest.raises(FileFormatError, match=r"a\.h5: another process is writing it"):
            load(tmp_path / "a.h5")
        holder.communicate(b"\n")
    load(tmp_path / "a.h5")


def test_files_and_folders_without_permission(tmp_path):
    """In a process without root's rights."""
    path, folder = tmp_path / "a.h5", tmp_path / "closed"
    save(path, make_objects()["tucker"])
    folder.mkdir()
    (tmp_path / "hidden").mkdir(mode=0)
    folder.chmod(0o555)
    path.chmod(0o200)
    program = textwrap.dedent(f"""
        import os
        from sci.errors import FileFormatError
        from sci.io import kinds, load, save
        from sci.potentials import Particles
        kinds()  # the library may lie where others do not look
        if os.geteuid() == 0:
            os.seteuid(65534)
        ion = Particles([[0, 0, 0]], [1])
        hidden = {str(tmp_path / "hidden" / "c.h5")!r}
        reads = [lambda: load({str(path)!r}), lambda: load(hidden)]
        for call in [*reads, lambda: save({str(folder / "b.h5")!r}, ion), lambda: save(hidden, ion)]:
            try:
                call()
            except FileFormatError as error:
                print(error)
    """)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    read, unseen, written, nowhere = done.stdout.splitlines()
    assert read == f"{path}: cannot be read (Permission denied); check its permissions"
    assert written == f"{folder / 'b.h5'}: cannot be written (Permission denied); check the folder and its permissions"
    assert "c.h5: cannot be read (Permission denied)" in unseen
    assert "c.h5: cannot be written (Permission denied)" in nowhere
