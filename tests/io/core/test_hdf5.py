"""Opening of HDF5 files where locks are refused, and what is said of files that cannot be read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from samples import make_objects

from sci.io import load, save

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
