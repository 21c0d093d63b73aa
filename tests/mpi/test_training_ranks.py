"""Training on 1 to 4 ranks gives what one process gives, to rounding."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


def test_training(run_mpi: Callable[..., str]) -> None:
    """The program takes every number of ranks up to that of its launch."""
    assert "PASS" in str(run_mpi("training.py", 4, timeout=300))


def test_a_network_whose_batch_is_that_of_all_ranks(run_mpi: Callable[..., str]) -> None:
    assert "PASS" in str(run_mpi("spd_network.py", 2, timeout=300))


def test_a_codebook_is_the_same_on_any_number_of_ranks(run_mpi: Callable[..., str]) -> None:
    """The program takes every number of ranks up to that of its launch."""
    assert "PASS" in str(run_mpi("vector_quantizer.py", 4, timeout=300))


@pytest.mark.parametrize("n_ranks", [2, 4])
def test_next_scale_prediction(run_mpi: Callable[..., str], n_ranks: int) -> None:
    """Codes of a field are shared, fields are drawn to the same bits, batches are shared."""
    assert "PASS" in str(run_mpi("next_scale.py", n_ranks, timeout=300))
