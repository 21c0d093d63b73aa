"""The cycle is one linear map, symmetric, and that of its parts."""

from __future__ import annotations

import numpy as np
import pytest
from sparse_systems import rotated

import sci
from sci.linalg.sparse.rows import SparseRows
from sci.solvers.algebraic.cycle import VCycle, alternating_weights, cycle_levels
from sci.solvers.algebraic.hierarchy import Settings, build

MATRIX = rotated(14)
LEVELS = build(SparseRows.of(MATRIX), np.ones((196, 1)), None, Settings(0.5, None, 20, True))


def _dense(smoother, dtype="f8"):
    cycle = VCycle(*cycle_levels(LEVELS, dtype, np, smoother, True), np, dtype)
    columns = []
    for unit in np.eye(196, dtype=dtype):
        cycle.source[...] = unit
        cycle.run()
        columns.append(cycle.result.copy())
    return np.array(columns).T


@pytest.mark.parametrize("smoother", [None, (3, 10.0), (2, 6.0), (1, 3.0)])
def test_the_cycle_is_symmetric_and_near_the_inverse(smoother):
    M = _dense(smoother)
    np.testing.assert_allclose(M, M.T, atol=1e-13)
    root = 1 / np.sqrt(MATRIX.diagonal())
    values = np.linalg.eigvals(M @ (root[:, None] * MATRIX.toarray() * root)).real
    assert values.min() > 0.1
    assert values.max() < 1.0 + 1e-6 if smoother is None else values.max() < 1.2
    np.testing.assert_allclose(_dense(smoother, "f4"), M, atol=2e-5 * abs(M).max())


def test_references_do_the_same():
    with sci.options(kernels="reference"):
        found = _dense((3, 10.0))
    np.testing.assert_allclose(found, _dense((3, 10.0)), atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_weights_are_those_of_the_polynomial(degree):
    weights = alternating_weights(2.0, 10.0, degree)
    assert len(weights) == degree
    t = np.linspace(0.2, 2.0, 2001)
    error = np.prod([1 - w * t for w in weights], axis=0)
    bound = 1 / np.cosh(degree * np.arccosh(2.2 / 1.8))
    assert abs(error).max() == pytest.approx(bound, rel=1e-3)


def test_a_large_coarsest_level_is_only_smoothed():
    levels, inverse = cycle_levels(LEVELS[:1] * 1, "f8", np, None, True)
    assert inverse is not None
    assert levels == []
