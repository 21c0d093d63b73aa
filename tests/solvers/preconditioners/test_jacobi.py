"""The diagonal of operators and matrices."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS
from scipy import sparse

from sci.errors import ConvergenceError
from sci.solvers import Jacobi

RNG = np.random.default_rng(2)


def test_jacobi_takes_matrices():
    A = OPERATORS[0]
    r = RNG.normal(size=A.size)
    expected = r / A.to_scipy().diagonal()
    for given in (A, A.to_scipy(), A.to_scipy().toarray()):
        np.testing.assert_allclose(Jacobi(given) @ r, expected, rtol=1e-14)
    with pytest.raises(ConvergenceError, match="negative"):
        Jacobi(sparse.diags([1.0, -1.0]).tocsr())
