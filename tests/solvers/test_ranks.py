"""The Poisson solver on 1 to 4 ranks that are threads, beside the serial one."""

from __future__ import annotations

import pytest
from distributed_solver_cases import (
    CASES,
    LEARNED_CASES,
    compare,
    compare_learned,
    cut_faces_and_networks,
    deflated,
    fail_on_one_rank,
    functions_as_preconditioners,
    learned_problem,
    problem,
    refuse,
)
from thread_ranks import on_ranks


@pytest.mark.parametrize("case", range(len(CASES)))
def test_answers_and_traffic(case: int) -> None:
    problem(case)
    for size in (1, 2, 3, 4):
        on_ranks(size, lambda comm: compare(case, comm))


@pytest.mark.parametrize("case", [0, 1, 4, *range(len(CASES), len(CASES) + len(LEARNED_CASES))])
def test_the_learned_cycle(case: int) -> None:
    learned_problem(case)
    for size in (1, 2, 3, 4, 8) if case == 0 else (2, 3):
        on_ranks(size, lambda comm: compare_learned(case, comm))


def test_cut_faces_and_networks() -> None:
    for size in (1, 2, 4):
        on_ranks(size, cut_faces_and_networks)


def test_errors_reach_every_rank() -> None:
    for size in (1, 3):
        on_ranks(size, refuse)


def test_any_function_is_a_preconditioner() -> None:
    for size in (1, 2, 3):
        on_ranks(size, functions_as_preconditioners)


def test_deflation() -> None:
    for size in (1, 2, 4):
        on_ranks(size, deflated)


def test_an_error_of_one_rank_is_raised_on_all() -> None:
    for size in (1, 2, 4):
        on_ranks(size, fail_on_one_rank)
