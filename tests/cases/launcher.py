"""Run a Python program on several ranks: `run_mpi("tests/mpi/programs/x.py", 3)`.

A program is a plain script that anyone can also start by hand,

    mpirun -n 3 python tests/mpi/programs/x.py

It makes its own communicator from `MPI.COMM_WORLD`, runs its checks inside `with abort_on_error(comm)`, and prints PASS
on rank 0 at the end. One launch should run many checks: a start costs half a second. Keep messages few and time limits
generous, because ranks that share a core wait for each other's time slices.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAMS = CHECKOUT / "tests" / "mpi" / "programs"
START_LIMIT = 180.0
"""Seconds that all ranks may take to load what they need."""


@dataclass(frozen=True)
class MpiResult:
    """Exit code, joined stdout and stderr, and duration of a run; `timed_out` if it was killed."""

    returncode: int
    output: str
    seconds: float
    timed_out: bool


def find_mpirun() -> str | None:
    """Return the `mpirun` beside the running Python, or the one on PATH."""
    beside = Path(sys.executable).parent / "mpirun"
    return str(beside) if beside.exists() else shutil.which("mpirun")


def is_open_mpi() -> bool:
    """Return True if `mpirun` is that of Open MPI, which exits with 1 after a signal, whatever its ranks say."""
    mpirun = find_mpirun()
    done = subprocess.run([mpirun or "mpirun", "--version"], capture_output=True, text=True, check=False)
    return "Open MPI" in done.stdout


def _environment() -> dict[str, str]:
    paths = [str(CHECKOUT), str(CHECKOUT / "tests" / "cases"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Open MPI refuses root and more ranks than cores without these; MPICH ignores them.
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }


def _stop(process: subprocess.Popen[str]) -> str:
    """End mpirun and its ranks: politely, so that it cleans up on its nodes, then by force."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sig)
            return process.communicate(timeout=5)[0] or ""
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    return process.communicate()[0] or ""


def _output(process: subprocess.Popen[str], timeout: float, started: Path | None) -> str:
    """Wait for what the process prints, at most `timeout` seconds from the time when the file `started` appears."""
    end = time.monotonic() + (timeout if started is None else START_LIMIT)
    while True:
        try:
            return process.communicate(timeout=min(0.1, timeout) if started else max(end - time.monotonic(), 0.01))[0]
        except subprocess.TimeoutExpired:
            if started is not None and started.exists():
                end, started = time.monotonic() + timeout, None
            elif time.monotonic() > end:
                raise


def launch(
    program: str | Path, n: int, *args: object, timeout: float = 120.0, started: Path | None = None
) -> MpiResult:
    """Run `program` on `n` ranks, and kill it all after `timeout` seconds; see `run_mpi` for the arguments."""
    mpirun = find_mpirun()
    assert mpirun is not None, "mpirun is missing beside this Python and on PATH; install the extra mpi-local"
    path = PROGRAMS / program if not Path(program).exists() else Path(program).resolve()
    command = [mpirun, "-n", str(n), sys.executable, "-W", "error", str(path), *map(str, args)]
    start, timed_out = time.monotonic(), False
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
        start_new_session=True,
    )
    try:
        output = _output(process, timeout, started)
    except subprocess.TimeoutExpired:
        output, timed_out = _stop(process), True
    except BaseException:
        _stop(process)
        raise
    return MpiResult(process.returncode, output, time.monotonic() - start, timed_out)


def start(n: int, *words: object) -> subprocess.Popen[str]:
    """Start Python with `words` on `n` ranks, with one pipe for all that it prints, in a session of its own."""
    mpirun = find_mpirun()
    assert mpirun is not None
    return subprocess.Popen(
        [mpirun, "-n", str(n), sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
        start_new_session=True,
    )


def wait_for(state: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until `state` returns True."""
    end = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def run_mpi(program: str | Path, n: int, *args: object, timeout: float = 120.0, started: Path | None = None) -> str:
    """Run `program` on `n` ranks and return its output; fail with the output unless it exits 0 and prints PASS.

    Parameters
    ----------
    program : str or Path
        A name in tests/mpi/programs, or a path.
    n : int
        Number of ranks.
    *args
        Command-line arguments of the program.
    timeout : float
        Seconds after which mpirun and all ranks are killed.
    started : Path, optional
        A file that the program makes when all of its ranks have loaded what they need. The seconds count from there: on
        a busy machine ranks that import at once take longer than what they then do.
    """
    result = launch(program, n, *args, timeout=timeout, started=started)
    state = f"killed after {timeout} s" if result.timed_out else f"exit code {result.returncode}"
    if result.timed_out or result.returncode != 0 or "PASS" not in result.output:
        raise AssertionError(f"{program} on {n} ranks: {state} after {result.seconds:.1f} s\n{result.output}")
    return result.output


def run_in_turn(programs: Sequence[str | Path], n: int, timeout: float = 300.0) -> None:
    """Run programs, paths or names in tests/mpi/programs, one after another on `n` ranks; each must print PASS.

    They share a start and imports, so each leaves the library as it found it: what replaces a part of it runs alone.
    """
    output = run_mpi("in_turn.py", n, *programs, timeout=timeout)
    parts = [part.partition("\n") for part in output.split("IN TURN ")[1:]]
    assert [name for name, _, said in parts if "PASS" in said] == [str(p) for p in programs], output
