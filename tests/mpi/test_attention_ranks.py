"""A rank that dies in the ring of softmax attention; test_programs.py runs what compares its ranks."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from launcher import MpiResult

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("kind", ["killed", "exception"])
def test_a_rank_that_dies_in_mid_ring_ends_the_job(launch_mpi: Callable[..., MpiResult], kind: str) -> None:
    result = launch_mpi("broken_ring.py", 3, kind)
    ended = time.time()
    assert not result.timed_out, result.output
    assert result.returncode != 0
    dead = float(result.output.partition("dies at ")[2].split()[0])
    assert ended - dead < 10.0, result.output
