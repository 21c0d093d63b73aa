"""Poisson problems on several ranks equal the serial ones, and send what the model says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_solvers(run_mpi: Callable[..., str], n_ranks: int) -> None:
    assert "PASS" in str(run_mpi("solvers.py", n_ranks, timeout=240))
