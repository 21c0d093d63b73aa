"""Lightning attention and the language model on 1 to 4 ranks against serial, under a time limit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("program", ["lightning.py", "language_model.py"])
def test_program(run_mpi: Callable[..., str], program: str, n_ranks: int) -> None:
    run_mpi(program, n_ranks, timeout=120)


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4, 8])
def test_megatron(run_mpi: Callable[..., str], n_ranks: int) -> None:
    run_mpi("megatron.py", n_ranks, timeout=240)
