"""Run the program that writes grids from 1 to 4 ranks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 4])
def test_files(run_mpi: Callable[..., str], tmp_path: Path, n_ranks: int) -> None:
    run_mpi("files.py", n_ranks, tmp_path, timeout=120)
