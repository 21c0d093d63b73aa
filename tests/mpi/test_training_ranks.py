"""Training on 1 to 4 ranks gives what one process gives, to rounding."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_training(run_mpi: Callable[..., str], n_ranks: int) -> None:
    assert "PASS" in str(run_mpi("training.py", n_ranks, timeout=180))
