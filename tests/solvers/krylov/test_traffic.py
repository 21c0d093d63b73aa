"""The weak-scaling model; tests/solvers/test_ranks.py compares it with what is counted."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.solvers import Multigrid, PoissonOperator, iteration_traffic


def test_one_process_sends_nothing():
    A = PoissonOperator(np.ones((6, 6, 6), bool))
    with pytest.raises(InvalidValueError, match="not spread"):
        iteration_traffic(A, Multigrid(A))


def test_slabs_by_hand():
    """Two boxes of 8 x 8 x 8: one face of 64 cells on the finest level, of 16 on the next, for each exchange."""

    def body(comm):
        A = PoissonOperator(np.ones((16, 8, 8), bool), comm=comm, distributed_levels=2)
        model = iteration_traffic(A, Multigrid(A, smoothing=1))
        assert A.blocks.coarse.proc_shape == (2, 1, 1)
        return model

    halo, sums, gather = (4 * (64 * (1 + 5) + 16 * 6), 3 * 8, 4 * 2 * 2 * 2)
    for model in on_ranks(2, body):
        assert model["halo"].bytes == halo
        assert model["halo"].messages == 1 + 5 + 6
        assert model["allreduce_sum"].bytes == sums
        assert (model["gather_level"].messages, model["gather_level"].bytes) == (1, gather)
