"""The shared Poisson solver on 1 to 4 ranks that are threads, beside the serial one."""

from __future__ import annotations

import pytest
from shared_solver_cases import CASES, compare, problem, refuse
from thread_ranks import on_ranks


@pytest.mark.parametrize("case", range(len(CASES)))
def test_answers_and_traffic(case: int) -> None:
    problem(case)
    for size in (1, 2, 3, 4):
        on_ranks(size, lambda comm: compare(case, comm))


def test_errors_reach_every_rank() -> None:
    for size in (1, 3):
        on_ranks(size, refuse)
