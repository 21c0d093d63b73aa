"""The end of a job on one process; tests/mpi ends jobs of several ranks."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from sci import distributed
from sci.distributed.jobs.ending import _exit_code, job, remove_unfinished, unfinished


def test_abort_on_error_raises_where_abort_returns() -> None:
    """MPI may come back from Abort before the process ends: nothing after the block may run."""
    codes: list[int] = []
    comm = SimpleNamespace(Get_size=lambda: 2, Get_rank=lambda: 1, Abort=codes.append)
    with pytest.raises(ZeroDivisionError), distributed.abort_on_error(comm):
        raise ZeroDivisionError
    assert codes == [1]


def test_abort_on_error_lets_a_single_process_raise() -> None:
    with pytest.raises(ZeroDivisionError), distributed.abort_on_error(None):
        raise ZeroDivisionError
    assert [_exit_code(SystemExit(code)) for code in (None, 0, "bad", 4)] == [0, 0, 1, 4]
    assert _exit_code(KeyboardInterrupt()) == 130


def test_sigterm_unwinds_a_job_and_the_handler_is_put_back(tmp_path: Path) -> None:
    before, half = signal.getsignal(signal.SIGTERM), tmp_path / "half"
    half.write_text("so far")
    with pytest.raises(SystemExit) as stop, job(None), unfinished(half):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.value.code == 143
    assert not half.exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_job_of_one_process_raises_what_its_block_raises() -> None:
    for error in (ZeroDivisionError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), job(None, report=lambda error: pytest.fail("who calls it reports")):
            raise error


def test_what_is_not_finished_is_removed_and_nothing_else(tmp_path: Path) -> None:
    whole, half, taken = tmp_path / "whole", tmp_path / "half", tmp_path / "taken"
    whole.write_text("done")
    with unfinished(half), unfinished(taken):
        half.write_text("so far")
        taken.write_text("done")
        taken.rename(tmp_path / "named")
        remove_unfinished()
        assert sorted(p.name for p in tmp_path.iterdir()) == ["named", "whole"]
    remove_unfinished()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["named", "whole"]
