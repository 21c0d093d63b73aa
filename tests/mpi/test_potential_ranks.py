"""A potential of charges on 1 to 4 ranks equals the serial one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_potential(run_mpi: Callable[..., str], n_ranks: int) -> None:
    assert "PASS" in str(run_mpi("potential.py", n_ranks, timeout=120))
