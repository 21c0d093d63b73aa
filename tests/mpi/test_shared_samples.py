"""Training data generated on ranks, written to one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.mpi


def test_samples_do_not_depend_on_the_ranks(run_mpi: Callable[..., str], tmp_path: Path) -> None:
    """The program takes every number of ranks up to that of its launch."""
    assert "PASS" in str(run_mpi("samples.py", 4, tmp_path, timeout=300))
