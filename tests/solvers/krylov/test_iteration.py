"""The loop of conjugate gradients on vectors that lie about their residual, and its checks."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sci.errors import ConvergenceError
from sci.linalg.lanczos import power_of_two
from sci.solvers.krylov.arrays import ArrayVectors
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.iteration import BreakdownError, iterate, positive

MATRIX = np.diag(np.linspace(1, 9, 30)) + 0.5 * np.eye(30, k=1) + 0.5 * np.eye(30, k=-1)
B = np.random.default_rng(0).normal(size=30)


class _Drifting(ArrayVectors):
    """Vectors whose recurrence loses the residual: it claims to be a part of itself."""

    replaced = 0

    def step(self, beta, length, soon, last):
        norm, exact = super().step(beta, length, soon, last)
        return 1e-3 * norm, exact

    def replace(self):
        self.replaced += 1
        return super().replace()


def _vectors(kind=ArrayVectors, x0=None):
    return kind(lambda v: MATRIX @ v, None, B, x0, Guard())


def test_the_residual_is_recomputed_before_it_counts_as_reached():
    v = _vectors(_Drifting)
    norms = iterate(v, 1e-8 * v.b_norm, 500).norms
    assert v.replaced > 1
    true = np.linalg.norm(B - MATRIX @ v.x)
    assert norms[-1] == pytest.approx(true, rel=1e-6)


def test_norms_and_limits():
    v = _vectors()
    norms = iterate(v, 1e-10 * v.b_norm, 100).norms
    assert norms[0] == pytest.approx(np.linalg.norm(B))
    assert np.linalg.norm(B - MATRIX @ v.x) <= 1e-10 * v.b_norm
    assert len(iterate(_vectors(), 0.0, 3).norms) == 4
    assert iterate(_vectors(x0=np.linalg.solve(MATRIX, B)), 1e-9, 100).norms[-1] < 1e-9


def test_quadratic_forms_are_positive():
    assert positive(2.0, "A", "p", 1) == 2.0
    for value, text in ((0.0, "is 0"), (-1.0, "is -1"), (np.nan, "NaN"), (np.inf, "NaN or Inf")):
        with pytest.raises(ConvergenceError, match=text):
            positive(value, "A", "p", 1)


@pytest.mark.parametrize("size", [0.0, 1e-308, 1e-5, 1.0, 3.0, 1e308])
def test_powers_of_two_have_inverses(size):
    unit = power_of_two(size)
    assert np.log2(unit) == round(np.log2(unit))
    assert 0 < 1 / unit < np.inf
    if 1e-300 < size < 1e300:
        assert 0.5 <= size / unit <= 1


@pytest.mark.parametrize("value", [-2.0, 0.0, np.nan, np.inf])
def test_a_breakdown_names_the_operator_and_the_number(value):
    with pytest.raises(BreakdownError, match="r'M r is") as caught:
        positive(value, "M", "r", 3)
    assert caught.value.name == "M"
    np.testing.assert_equal(caught.value.value, value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.name, str(again)) == ("M", str(caught.value))
