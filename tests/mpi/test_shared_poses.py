"""Energies of poses on several ranks equal the serial ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_poses(run_mpi: Callable[..., str], n_ranks: int) -> None:
    assert "PASS" in str(run_mpi("poses.py", n_ranks, timeout=120))
