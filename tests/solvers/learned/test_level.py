"""One level of the learned cycle: what kernels are given of it."""

from __future__ import annotations

import numpy as np

from sci.solvers import CycleModel, PoissonOperator
from sci.solvers.learned.hierarchy import Hierarchy


def _levels(coefficient=None):
    A = PoissonOperator(np.ones((6, 8, 10), bool), coefficient=coefficient)
    return Hierarchy(A, CycleModel.untrained().parameters).levels


def test_links_are_given_also_where_there_are_none():
    first, second = _levels()
    assert (first.variable, second.variable) == (False, True)
    assert first.given_offdiag.shape == (3, 1, 1, 1)
    assert first.given_offdiag is first.given_offdiag
    assert second.given_offdiag is second.offdiag
    assert _levels(np.ones((6, 8, 10)))[0].variable


def test_kernels_work_on_all_cells_or_on_a_box():
    level = _levels()[0]
    blocks, (where, p1, p2, chunk) = level.ends()
    assert where.tolist() == [0, 0, 0, 6, 8, 10, 6]
    assert (p1, p2) == level.layout.padded_shape[1:]
    assert blocks * chunk >= 48
    assert level.ends(((1, 2, 3), (2, 3, 4)))[1][0].tolist() == [1, 2, 3, 2, 3, 4, 6]


def test_bytes_and_scratch():
    level = _levels()[0]
    assert level.nbytes == level.d.nbytes + level.jacobi.nbytes + level.transfer.nbytes + 12
    assert level.zeros().dtype == np.float32
    assert level.zeros().shape == level.layout.padded_shape
