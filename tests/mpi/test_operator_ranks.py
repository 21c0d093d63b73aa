"""Data-parallel and patch-parallel operators on 1 to 4 ranks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


def test_operators(run_mpi: Callable[..., str]) -> None:
    """The program takes every number of ranks up to that of its launch."""
    assert "PASS" in str(run_mpi("operators.py", 4, timeout=300))
