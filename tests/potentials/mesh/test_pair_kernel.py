"""Polynomials of the short range of a mesh."""

from __future__ import annotations

import numpy as np
import pytest

from sci.potentials.mesh.gaussian import GaussianSplit
from sci.potentials.mesh.pair_kernel import pair_kernel
from sci.potentials.mesh.prolate import ProlateSplit


@pytest.mark.parametrize("split", [ProlateSplit(12.0, 6.0), GaussianSplit(0.5, 6.0, 3.0)], ids=["prolate", "gaussian"])
def test_the_degree_follows_the_error(split):
    degrees = []
    for error in (1e-3, 1e-6, 1e-9):
        kernel = pair_kernel(split, error, 0.1)
        r = np.linspace(0.5, 5.999, 200)
        u = 2 * (r / 6.0) ** 2 - 1
        _, g = split.polynomials(60)
        exact = np.polynomial.chebyshev.chebval(u, g)
        missed = np.polynomial.polynomial.polyval(u, kernel.g) - exact
        weight = 0.1 * np.sqrt(4 * np.pi * np.trapezoid(missed**2 * r**4, r))
        assert weight < 0.15 * error
        degrees.append(len(kernel.b) - 1)
    assert degrees == sorted(degrees)
    assert degrees[0] < degrees[-1]
