"""Training data generated on ranks, written to one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_samples_do_not_depend_on_the_ranks(run_mpi: Callable[..., str], tmp_path: Path, n_ranks: int) -> None:
    run_mpi("samples.py", n_ranks, tmp_path, timeout=120)
