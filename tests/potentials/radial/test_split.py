"""Gaussian sums and the split of a kernel: against the kernels themselves and mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.potentials import Coulomb, Split, Yukawa, split_kernel
from sci.potentials.radial.split import continuous

KERNELS = [Coulomb(), Yukawa(0.02), Yukawa(0.3)]


def evaluate(split: Split, r: np.ndarray) -> np.ndarray:
    u = 2 * r**2 / split.cutoff**2 - 1
    return split.kernel(r) - np.polyval(split.b[::-1], u)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-7, 1e-9])
def test_short_range_completes_the_long_range(kernel, tol):
    split = split_kernel(kernel, tol, 200.0, 0.3)
    inside = np.linspace(1e-3, split.cutoff, 400)
    exact = kernel(inside) - split.gaussians.of_square(inside**2)
    assert np.abs(evaluate(split, inside) - exact).max() * split.cutoff < tol
    outside = np.geomspace(split.cutoff, 200.0, 400)
    assert (np.abs(kernel(outside) - split.gaussians.of_square(outside**2)) * outside).max() < tol


def test_cutoff_is_shorter_than_that_of_ewalds_split():
    # erfc(alpha r) = tol at alpha r = 3.77 for tol 1e-7; Gaussians up to alpha do with less.
    split = split_kernel(Coulomb(), 1e-7, 200.0, 0.3)
    assert split.cutoff * split.alpha < float(mpmath.erfinv(1 - mpmath.mpf("1e-7")))


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_alpha_must_be_a_positive_number(alpha):
    with pytest.raises(InvalidValueError, match="alpha"):
        split_kernel(Coulomb(), 1e-6, 100.0, alpha)


@pytest.mark.parametrize("kappa", [0.5, 8.0])
def test_a_screened_kernel_may_be_all_short_range(kappa):
    split = split_kernel(Yukawa(kappa), 1e-9, 100.0, 0.0)
    assert split.all_short
    assert "Gaussians" in repr(split)
    r = np.linspace(0.1, split.cutoff, 100)
    assert np.array_equal(evaluate(split, r), split.kernel(r))
    assert split.kernel(split.cutoff) * split.cutoff == pytest.approx(8e-10)


def test_a_continuous_split_ends_at_zero():
    split = split_kernel(Coulomb(), 1e-4, 40.0, 0.7)
    shifted = continuous(split)
    assert abs(float(shifted.b.sum()) - 1 / split.cutoff) < 1e-15 < abs(float(split.b.sum()) - 1 / split.cutoff)
    np.testing.assert_array_equal(shifted.b[1:], split.b[1:])
