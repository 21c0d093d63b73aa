"""Radial functions: their derivatives, and how they end."""

from __future__ import annotations

import numpy as np
import pytest

from sci.atomistic import radial_basis
from sci.errors import InvalidValueError

R = np.linspace(0.4, 4.9, 40)


def test_slopes_are_derivatives():
    h = 1e-4
    values = [radial_basis(R + k * h, 5.0, 6)[0] for k in (-2, -1, 1, 2)]
    expected = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    np.testing.assert_allclose(radial_basis(R, 5.0, 6)[1], expected, atol=1e-9)


def test_functions_end_with_three_derivatives():
    """At the cutoff they fall as the fourth power of what is left."""
    values = np.abs(radial_basis(5.0 - np.array([0.04, 0.02]), 5.0, 4)[0])
    np.testing.assert_allclose(values[0] / values[1], 16, rtol=0.06)
    beyond = radial_basis(np.array([5.0, 7.0]), 5.0, 4)
    assert not np.any(beyond)


def test_without_the_envelope_they_are_orthonormal():
    r = np.linspace(1e-6, 5.0, 20001)
    u = r / 5.0
    envelope = 1 - 28 * u**6 + 48 * u**7 - 21 * u**8
    inside = u < 0.999
    waves = radial_basis(r[inside], 5.0, 4)[0] / envelope[inside, None]
    gram = np.trapezoid(waves[:, :, None] * waves[:, None, :] * r[inside, None, None] ** 2, r[inside], axis=0)
    np.testing.assert_allclose(gram, np.eye(4), atol=1e-6)


def test_refusals():
    for r, cutoff, n in ((R, 0.0, 3), (R, 5.0, 0), (np.array([0.0]), 5.0, 2)):
        with pytest.raises(InvalidValueError, match="positive"):
            radial_basis(r, cutoff, n)
