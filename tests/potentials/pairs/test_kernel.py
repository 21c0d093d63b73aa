"""The function of a pair: its polynomials, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.potentials.ewald import ewald_split
from sci.potentials.pairs.kernel import PairKernel


def test_g_is_the_slope_of_b():
    kernel = PairKernel.of(ewald_split(0.5, 1e-8))
    u, step = np.linspace(-0.9, 0.9, 7), 1e-5
    slope = (np.polyval(kernel.b[::-1], u + step) - np.polyval(kernel.b[::-1], u - step)) / (2 * step)
    np.testing.assert_allclose(np.polyval(kernel.g[::-1], u), -4 / kernel.cutoff**2 * slope, rtol=1e-8)


def test_at_zero_is_the_long_range_of_a_charge_at_its_own_place():
    split = ewald_split(0.5, 1e-10)
    assert PairKernel.of(split).at_zero == pytest.approx(split.gaussians.at_zero, rel=1e-9)


@pytest.mark.parametrize(
    ("cutoff", "b", "kappa", "named"),
    [
        (0.0, [1.0], 0.0, "cutoff is 0.0"),
        (np.inf, [1.0], 0.0, "cutoff is inf"),
        (1.0, [], 0.0, "b has shape"),
        (1.0, [np.nan], 0.0, "b has shape"),
        (1.0, [1.0], -1.0, "kappa is -1.0"),
    ],
)
def test_numbers_that_make_no_kernel_are_refused(cutoff, b, kappa, named):
    with pytest.raises(InvalidValueError, match=named):
        PairKernel(cutoff, np.array(b), kappa)
