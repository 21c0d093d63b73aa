"""Trajectories on 2 and 3 ranks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_trajectory(run_mpi: Callable[..., str], tmp_path: Path, n_ranks: int) -> None:
    assert "PASS" in run_mpi("trajectory.py", n_ranks, tmp_path, timeout=120)
