"""Data-parallel and patch-parallel operators on 1 to 4 ranks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_operators(run_mpi: Callable[..., str], n_ranks: int) -> None:
    run_mpi("operators.py", n_ranks, timeout=240)
