"""The command under interrupts, kills, full disks and readers that leave; what it prints and exports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sci.cli import main
from sci.datasets import dataset_path
from sci.io import load, load_grid

EXAMPLES = dataset_path("nacl").parent


def program(*arguments: object, before: str = "") -> list[str]:
    """Return the command line of a process that says `ready` and runs the command.

    A shell that puts the tests into the background makes them, and all that they start, ignore interrupts.
    """
    words = [str(a) for a in arguments]
    heard = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nfrom sci.cli import main"
    text = f"{heard}\n{before}\nprint('ready', flush=True)\nsys.exit(main({words!r}))"
    return [sys.executable, "-c", text]


@pytest.mark.parametrize(("sent", "code", "says"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "")])
def test_an_interrupt_leaves_nothing(tmp_path, sent, code, says):
    command = program("potential", EXAMPLES / "1ubi.pqr", "-o", tmp_path / "out.h5", "--tol", "1e-9", "--grid", 256)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert out == ""
    assert says in err
    assert len(err.splitlines()) == (1 if says else 0)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_at_any_moment_leaves_a_whole_file_or_none(pqr, tmp_path):
    """Children of one process, which has imported everything, run the command and are killed at random moments."""
    folder = tmp_path / "out"
    folder.mkdir()
    text = textwrap.dedent(f"""
        import os, random, signal, time
        from sci.cli import main
        def run(name):
            return main(["potential", {str(pqr)!r}, "-o", {str(folder)!r} + f"/{{name}}.h5", "--grid", "40", "--quiet"])
        def child(name):
            pid = os.fork()
            if pid == 0:
                os._exit(run(name))
            return pid
        os.waitpid(child("cold"), 0)
        start = time.perf_counter()
        os.waitpid(child("warm"), 0)
        whole, rng = time.perf_counter() - start, random.Random(2)
        for trial in range(8):
            pid = child(f"{{trial}}")
            time.sleep(rng.uniform(0.3, 1.1) * whole)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    """)
    subprocess.run([sys.executable, "-c", text], check=True, timeout=300)
    names = {path.stem for path in folder.glob("*.h5")}
    assert {"cold", "warm"} <= names
    assert len(names) < 10, "no kill came before the end"
    expected = load_grid(folder / "warm.h5").values
    for name in names:
        np.testing.assert_allclose(load_grid(folder / f"{name}.h5").values, expected, rtol=1e-13)
    rest = [p.name for p in folder.iterdir() if p.suffix != ".h5"]
    assert all(name.startswith(".") and name.endswith((".tmp", ".lock")) for name in rest)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fails_on_a_full_disk(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 2)
    assert done.stdout == "ready\n"
    assert len(done.stderr.splitlines()) == 1
    assert "of space on the disk, and" in done.stderr  # refused before it computes
    assert list(folder.iterdir()) == []


def test_a_full_disk(pqr, small_disk):
    _fails_on_a_full_disk(program("potential", pqr, "-o", small_disk / "out.h5", "--grid", 64, "--quiet"), small_disk)


def test_a_disk_that_fills_while_writing(pqr, tmp_path):
    """A limit on the size of files lets the check of the space before pass."""
    folder = tmp_path / "out"
    folder.mkdir()
    before = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    )
    command = program("potential", pqr, "-o", folder / "out.h5", "--grid", 64, "--quiet", before=before)
    with_cache = {**os.environ, "SCI_KERNELS": "reference"}  # a compiled kernel may be larger than the limit
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=with_cache)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert "larger than this process may write (ulimit -f)" in done.stderr
    assert list(folder.iterdir()) == []


def test_a_reader_that_leaves(pqr, tmp_path):
    out = tmp_path / "small.h5"
    assert main(["potential", str(pqr), "-o", str(out), "--quiet"]) == 0
    command = [sys.executable, "-m", "sci", "info", str(out)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""
    line = subprocess.run(f"{' '.join(command)} | head -1", shell=True, capture_output=True, text=True, timeout=60)
    assert line.stdout.startswith("file ")
    assert line.stdout.count("\n") == 1
    assert line.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no Linux")
@pytest.mark.parametrize("words", ["completion bash", "dataset", "doctor", "--help", "info --help", "--version"])
def test_stdout_on_a_full_disk_fails_in_one_line(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sci", *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert (
        done.stderr == "sci: error: stdout cannot be written (No space left on device); free some space, or send it "
        "elsewhere\n"
    )


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(pqr, tmp_path, streams):
    """The output would get the number of a stream, and a message its place in the file."""
    out = tmp_path / "out.h5"
    line = f"{sys.executable} -m sci potential {pqr} -o {out} --grid 4 --tol 1e-3 {streams}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert load(out).particles.n == 3
    bad = subprocess.run(f"{line} --overwrite --tol nan", shell=True, capture_output=True, timeout=60)
    assert bad.returncode == 2


def test_every_command_prints_json(pqr, tmp_path, capsys):
    out, copy, crystal = tmp_path / "small.h5", tmp_path / "copy.h5", EXAMPLES / "nacl.cif"
    for words in (
        ["potential", pqr, "-o", out, "--grid", 4],
        ["info", out],
        ["export", out, "--to", "dx,cube"],
        ["join", out, "-o", copy],
        ["lattice", crystal, "--repeats", 3, 3, 3],
        ["doctor"],
        ["completion", "bash"],
        ["dataset"],
    ):
        assert main([*map(str, words), "--json"]) == 0
        said = capsys.readouterr()
        assert isinstance(json.loads(said.out), dict), words
        assert said.err == ""
    assert load(copy).particles.n == 3
