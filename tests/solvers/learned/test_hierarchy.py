"""The levels of the learned cycle: lengths, units, and boxes of one rank beside the whole grid."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers import CycleModel, PoissonOperator
from sci.solvers.learned.hierarchy import Hierarchy

RNG = np.random.default_rng(3)
PARAMETERS = CycleModel.pretrained().parameters


def test_levels_are_halved_down_to_a_dense_inverse():
    h = Hierarchy(PoissonOperator(np.ones((33, 20, 9), bool)), PARAMETERS)
    assert [level.layout.lengths for level in h.levels] == [(33, 20, 9), (17, 10, 5), (9, 5, 3), (5, 3, 2)]
    assert h.gathered == []
    assert h.inverse.shape == (30, 30)
    np.testing.assert_allclose(h.inverse, h.inverse.T, atol=1e-6)
    assert np.linalg.eigvalsh(h.inverse).min() > 0


@pytest.mark.parametrize("varying", [False, True])
def test_the_unit_is_that_of_the_operator(varying):
    mask = RNG.random((12, 11, 10)) > 0.2
    coefficient = np.exp(RNG.normal(size=mask.shape)) if varying else None
    for factor in (1.0, 1e-28, 1e28):
        scaled = None if coefficient is None else factor * coefficient
        A = PoissonOperator(mask, 1.0 if varying else factor, coefficient=scaled)
        h = Hierarchy(A, PARAMETERS)
        largest = float(h.levels[0].d.max())
        assert h.unit == pytest.approx(A.diagonal[mask].mean() / 6 if varying else factor**-2, rel=1e-9)
        assert 1 < largest < 100


@pytest.mark.parametrize("neumann", [False, True])
def test_a_box_of_one_rank_has_the_levels_of_the_whole_grid(neumann):
    mask = RNG.random((20, 17, 26)) > 0.1
    walls = [("neumann", "dirichlet"), "dirichlet", "neumann"]
    whole, cut = (
        Hierarchy(PoissonOperator(mask, 1.0, walls, neumann_body=neumann, distributed_levels=levels), PARAMETERS)
        for levels in (None, 2)
    )
    levels = [*cut.levels[:-1], *cut.gathered]
    assert len(levels) == len(whole.levels)
    for one, other in zip(levels, whole.levels):
        own = tuple(slice(1, n + 1) for n in other.layout.lengths)
        for name in ("d", "jacobi", "transfer"):
            np.testing.assert_array_equal(getattr(one, name)[own], getattr(other, name)[own], err_msg=name)
        assert one.damping == other.damping
    assert len(whole.levels[0].damping) == (4 if neumann else 2)
    np.testing.assert_array_equal(cut.inverse, whole.inverse)
