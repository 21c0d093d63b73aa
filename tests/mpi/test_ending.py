"""A job that is interrupted, or of which one rank fails, ends at once on all ranks and leaves no half file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from launcher import MpiResult

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("nothing", 0, "PASS"),
        ("alone", 1, "rank 1 of 3 failed"),
        ("within", 1, "rank 1 of 3 failed"),
        ("agreed", 1, "rank 1: ZeroDivisionError: one rank fails"),
        ("terminated", 143, ""),
        ("all", 143, ""),
    ],
)
def test_a_job_ends_on_all_ranks(
    launch_mpi: Callable[..., MpiResult], tmp_path: Path, kind: str, code: int, says: str
) -> None:
    started, folder = tmp_path / "started", tmp_path / "files"
    folder.mkdir()
    result = launch_mpi("ending.py", 3, started, kind, folder, timeout=20, started=started)
    assert not result.timed_out, result.output
    assert result.returncode == code, result.output
    assert says in result.output
    assert result.output.count("Traceback") == (code == 1), result.output
    assert started.exists()
    assert list(folder.iterdir()) == []
