"""A rank that fails never leaves the others waiting: every case ends within 20 seconds of the start of all ranks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from launcher import MpiResult

pytestmark = pytest.mark.mpi

LIMIT = 20.0


@pytest.mark.parametrize(
    ("kind", "says", "code"),
    [
        ("exception", "ZeroDivisionError: one rank fails after the start", 1),
        ("exit", "", 3),
        ("interrupt", "KeyboardInterrupt", 130),
        ("memory", "MemoryError: Unable to allocate 256. TiB", 1),
        ("killed", "", None),
    ],
)
def test_failing_rank_ends_the_job(
    launch_mpi: Callable[..., MpiResult], tmp_path: Path, kind: str, says: str, code: int | None
) -> None:
    started = tmp_path / "started"
    result = launch_mpi("faults.py", 3, started, kind, timeout=LIMIT, started=started)
    assert not result.timed_out, result.output
    assert started.exists()
    assert result.returncode != 0
    assert code in (None, result.returncode)
    assert says in result.output
    if says:
        assert "rank 2 of 3 failed" in result.output


def test_bad_input_on_one_rank_is_raised_on_all(run_mpi: Callable[..., str], tmp_path: Path) -> None:
    run_mpi("faults.py", 3, tmp_path / "started", "nonsense", timeout=LIMIT, started=tmp_path / "started")


def test_bad_input_and_files_are_raised_on_all(run_mpi: Callable[..., str], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    run_mpi("faults.py", 3, tmp_path / "started", "files", tmp_path, timeout=LIMIT, started=tmp_path / "started")


def test_launcher_kills_a_hanging_program(launch_mpi: Callable[..., MpiResult], tmp_path: Path) -> None:
    """The watchdog itself: no rank survives the time limit."""
    program = tmp_path / "hang.py"
    program.write_text("import os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(120)\n")
    pids: list[int] = []
    for limit in (5.0, 20.0, 60.0):  # on a busy machine two ranks may need longer to start
        result = launch_mpi(program, 2, timeout=limit)
        assert result.timed_out
        assert result.seconds < limit + LIMIT
        pids = [int(line.split()[1]) for line in result.output.splitlines() if line.startswith("pid")]
        if len(pids) == 2:
            break
    assert len(pids) == 2
    until = time.monotonic() + 5
    while any(map(_runs, pids)) and time.monotonic() < until:
        time.sleep(0.05)  # a busy system takes a moment to end what was killed
    assert [pid for pid in pids if _runs(pid)] == []


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] not in "ZX"


def test_launcher_reports_a_failed_check(run_mpi: Callable[..., str], tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text("print('no such luck')\n")
    with pytest.raises(AssertionError, match=r"(?s)exit code 0.*no such luck"):
        run_mpi(program, 1)


def test_ranks_that_wait_for_one_of_them_sleep(run_mpi: Callable[..., MpiResult]) -> None:
    assert "PASS" in str(run_mpi("resting.py", 3, timeout=60))
