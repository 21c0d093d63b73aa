"""The references of the kernels are one for each kernel, and a solve with them alone is the same."""

from __future__ import annotations

import numpy as np

import sci
from sci.kernels import every_kernel
from sci.problems.media import balls
from sci.solvers import Multigrid, PoissonOperator, cg
from sci.solvers.network.reference import REFERENCES


def test_every_kernel_has_a_reference():
    names = {k.template for source in ("grid/network.cu", "grid/links.cu") for k in every_kernel(source)}
    assert names == set(REFERENCES)


def test_a_solve_without_a_compiler():
    A = PoissonOperator(np.ones((9, 9, 9), bool), coefficient=balls(9, 1, 1e4))
    compiled = cg(A, np.ones(A.size), M=Multigrid(A, coarse="network", dtype=np.float64), rtol=1e-8)
    with sci.options(kernels="reference"):
        found = cg(A, np.ones(A.size), M=Multigrid(A, coarse="network", dtype=np.float64), rtol=1e-8)
    assert found.iterations == compiled.iterations
    np.testing.assert_allclose(found.x, compiled.x, rtol=1e-6)
