"""Constitutive laws: tangents against differences, symmetry, refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sci.applications import Composite, LinearElastic, Saturating, frobenius
from sci.errors import SciError

MATRIX, INCLUSION = Saturating(4.78e3, 50.0, 0.06), LinearElastic(4.345e4, 2.992e4)


def test_tangent_is_the_derivative_and_symmetric() -> None:
    rng = np.random.default_rng(1)
    composite = Composite(rng.integers(0, 2, (4, 5)), [MATRIX, INCLUSION])
    strain, a, b = rng.normal(size=(3, 3, 4, 5)) * 0.03
    h = 1e-6
    difference = (composite.stress(strain + h * a) - composite.stress(strain - h * a)) / (2 * h)
    np.testing.assert_allclose(composite.tangent(strain, a), difference, rtol=1e-6, atol=1e-6)
    left, right = (frobenius(x, composite.tangent(strain, y)) for x, y in ((a, b), (b, a)))
    np.testing.assert_allclose(left, right, rtol=1e-12)
    zero = composite.tangent(0 * strain, a)
    np.testing.assert_allclose(zero, composite.stress(1e-9 * a) / 1e-9, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: LinearElastic(1.0, -1.0), "shear is -1"),
        (lambda: Saturating(1.0, 1.0, 0.0), "softness is 0"),
        (lambda: Composite(np.ones((5, 5), int), [INCLUSION]), "phase holds 1 to 1"),
        (lambda: Composite(np.zeros((5, 5)), [INCLUSION]), "expected integers"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], text: str) -> None:
    with pytest.raises(SciError, match=text):
        call()
