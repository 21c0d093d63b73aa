"""Closed components of the fluid on one process and on ranks, beside a flood fill."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.solvers import PoissonOperator


def _mask() -> np.ndarray:
    """Three rooms along the first axis, the second of which winds through all boxes."""
    mask = np.zeros((16, 12, 10), bool)
    mask[:5] = True
    mask[6:9] = mask[6:15, 1:3] = mask[13:15] = True
    mask[10:12, 5:9, 5:9] = True
    return mask


def test_components_are_those_of_one_process():
    mask = _mask()
    serial = PoissonOperator(mask, boundary="neumann", neumann_body=True)
    assert sorted(serial.component_sizes.tolist()) == sorted([5 * 120, 3 * 120 + 4 * 20 + 2 * 120, 2 * 16])
    x = np.random.default_rng(0).normal(size=mask.shape) * mask
    expected = serial.project(x)
    assert abs(expected[:5].sum()) < 1e-10

    def body(comm):
        A = PoissonOperator(mask, boundary="neumann", neumann_body=True, comm=comm)
        assert sorted(A.component_sizes.tolist()) == sorted(serial.component_sizes.tolist())
        np.testing.assert_allclose(A.project(x[A.slices]), expected[A.slices], atol=1e-13)
        assert A.inconsistency(1.0 * mask[A.slices]) == pytest.approx(serial.inconsistency(1.0 * mask))

    for size in (2, 3, 4):
        on_ranks(size, body)


def test_one_dirichlet_face_opens_a_component():
    mask = _mask()
    body = np.ones(mask.shape, bool)
    body[10, 4, 6] = False  # beside the third room
    A = PoissonOperator(mask, boundary="neumann", neumann_body=body)
    assert A.component_sizes.size == 2
    assert PoissonOperator(mask).component_sizes.size == 0


def test_periodic_walls_join():
    mask = np.ones((6, 5), bool)
    mask[3] = False
    for boundary, count in (("neumann", 2), ("periodic", 1)):
        A = PoissonOperator(mask, boundary=boundary, neumann_body=True)
        assert A.component_sizes.size == count
