"""The stencil and its vector work on random operators; tests/kernels compares kernels with their references."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS


def _vectors(A, count, dtype=np.float64):
    rng = np.random.default_rng(3)
    return [
        A.layout.wrap(A.layout.spread((rng.normal(size=A.local_shape) * A.mask).astype(dtype))) for _ in range(count)
    ]


@pytest.mark.parametrize("A", OPERATORS[::3])
def test_a_step_is_what_it_says(A):
    z, old, x, f = _vectors(A, 4)
    s, matrix = A.stencil, A.to_scipy()
    flat = {name: A.compress(A.layout.cells(v)) for name, v in (("z", z), ("old", old), ("x", x), ("f", f))}
    p = A.layout.zeros(np, float)
    square = s.cg_step(z, old, p, x, f, f, 0.5, 0.25, (2.0, 3.0))
    direction = flat["z"] + 0.5 * flat["old"]
    left = flat["f"] - 0.25 * (matrix @ direction)
    np.testing.assert_allclose(A.compress(A.layout.cells(p)), direction)
    np.testing.assert_allclose(A.compress(A.layout.cells(f)), left, atol=1e-12 * abs(left).max())
    np.testing.assert_allclose(A.compress(A.layout.cells(x)), flat["x"] + 2 * flat["old"] + 3 * direction)
    assert square == pytest.approx(left @ left)
    assert s.dot(f, p) == pytest.approx(left @ direction)
    s.axpy(x, p, -3.0)
    np.testing.assert_allclose(A.compress(A.layout.cells(x)), flat["x"] + 2 * flat["old"], atol=1e-12)


@pytest.mark.parametrize("A", OPERATORS[::3])
@pytest.mark.parametrize("scale", [1.0, 2.0**900, 2.0**-900])
def test_a_residual_is_scaled_before_it_is_squared(A, scale):
    x, b = _vectors(A, 2)
    f = A.layout.zeros(np, float)
    square = A.stencil.residual(x / scale, b / scale, f, scale)
    left = A.compress(A.layout.cells(b)) - A.to_scipy() @ A.compress(A.layout.cells(x))
    assert square == pytest.approx(left @ left)
    np.testing.assert_allclose(A.compress(A.layout.cells(f)), left, atol=1e-12 * abs(left).max())
