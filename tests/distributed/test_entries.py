"""Collective entries of the rooms refuse, on all ranks, arguments that must agree and do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import SciError
from sci.problems import darcy_flow, navier_stokes
from sci.sequence import lightning_attention
from sci.solvers import CycleModel, LearnedMultigrid, Multigrid, PoissonOperator

MASK = np.ones((16, 16, 16), bool)
OTHER = MASK & (np.arange(16) != 5)


def _operator(comm: ThreadComm) -> PoissonOperator:
    return PoissonOperator(MASK, comm=comm)


def _lightning(comm: ThreadComm, **options: bool) -> object:
    q = np.ones((1, 4, 2))
    return lightning_attention(q, q, q, np.ones(1), comm=comm, **options)


ENTRIES: dict[str, Callable[[ThreadComm], object]] = {
    "mask": lambda comm: PoissonOperator(OTHER if comm.rank else MASK, comm=comm),
    "neumann_body": lambda comm: PoissonOperator(OTHER, neumann_body=bool(comm.rank), comm=comm),
    "coefficient": lambda comm: PoissonOperator(MASK, coefficient=MASK + comm.rank, comm=comm),
    "smoothing": lambda comm: Multigrid(_operator(comm), smoothing=1 + comm.rank),
    "dtype": lambda comm: Multigrid(_operator(comm), dtype="f4" if comm.rank else "f8"),
    "wall_corrected": lambda comm: Multigrid(_operator(comm), wall_corrected=bool(comm.rank)),
    "model": lambda comm: LearnedMultigrid(_operator(comm), CycleModel.untrained() if comm.rank else None),
    "seed": lambda comm: darcy_flow(4, 8, seed=comm.rank, comm=comm),
    "n_samples": lambda comm: darcy_flow(4 + comm.rank, 8, comm=comm),
    "viscosity": lambda comm: navier_stokes(2, 8, viscosity=1e-2 * (1 + comm.rank), comm=comm),
    "learn_decay": lambda comm: _lightning(comm, learn_decay=bool(comm.rank)),
    "final_state": lambda comm: _lightning(comm, final_state=bool(comm.rank)),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_what_differs_between_ranks_is_named_on_all(name: str) -> None:
    def body(comm: ThreadComm) -> str:
        with pytest.raises(SciError, match=f"{name} differs between ranks") as caught:
            ENTRIES[name](comm)
        return str(caught.value)

    first, second = on_ranks(2, body)
    assert first == second
