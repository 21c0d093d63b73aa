"""The array calls behind the fused norms run every op as the kernels do."""

from __future__ import annotations

import numpy as np
import pytest

import sci
import sci.nn as P
from sci.nn.ops.norm_references import row_moments

RNG = np.random.default_rng(3)


def test_moments_are_those_of_numpy():
    x = RNG.normal(size=(5, 40))
    for found, expected in zip(row_moments(x), (x.mean(axis=1), x.var(axis=1))):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("name", ["group_norm_relu", "evonorm_s0", "evonorm_b0"])
def test_references_give_what_kernels_give(name):
    x, dout = RNG.normal(size=(2, 3, 4, 30))
    op = getattr(P, name)
    arrays = (x, *RNG.normal(size=(2 if name == "group_norm_relu" else 3, 4)))
    found = []
    for mode in ("auto", "reference"):
        with sci.options(kernels=mode):
            out, residuals = op.forward(*arrays)
            found.append([out, *(g for g in op.vjp(dout, residuals) if g is not None)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())
