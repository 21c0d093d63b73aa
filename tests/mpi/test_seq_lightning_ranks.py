"""Lightning attention on 1 to 4 ranks against serial, under a time limit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_lightning(run_mpi: Callable[..., str], n_ranks: int) -> None:
    run_mpi("lightning.py", n_ranks, timeout=120)
