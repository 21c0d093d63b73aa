"""Poisson problems on ranks equal the serial ones, and send what the model says.

tests/solvers/test_ranks.py has all problems on 1 to 4 ranks that are threads.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [3, 4])  # and 1 and 2 of the 4
def test_solvers(run_mpi: Callable[..., str], n_ranks: int) -> None:
    assert "PASS" in str(run_mpi("solvers.py", n_ranks, timeout=240))


def test_functions_of_the_caller(run_mpi: Callable[..., str]) -> None:
    assert "PASS" in str(run_mpi("solver_errors.py", 3, timeout=120))
