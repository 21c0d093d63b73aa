"""Radial kernels and their sums of Gaussians."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.potentials import Coulomb, Yukawa, gaussian_sum

KERNELS = [Coulomb(), Yukawa(0.02), Yukawa(0.3)]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_many_gaussians_make_the_whole_kernel(kernel, tol):
    r = np.geomspace(0.05, 100.0, 500)
    whole = gaussian_sum(kernel, tol, 100.0, alpha=400.0)
    error = np.abs(whole.of_square(r**2) - kernel(r)) * r
    assert error.max() < 2 * tol


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_alpha_is_the_largest_exponent(kernel):
    gaussians = gaussian_sum(kernel, 1e-7, 80.0, alpha=0.37)
    assert gaussians.exponents[-1] == pytest.approx(0.37, rel=1e-14)
    assert (np.diff(gaussians.exponents) > 0).all()
    assert (gaussians.weights >= 0).all()


def test_rank_grows_like_the_logarithm_of_alpha_and_tolerance():
    terms = [len(gaussian_sum(Coulomb(), 1e-7, 100.0, a).exponents) for a in (0.1, 1.0, 10.0)]
    assert np.diff(terms).max() <= 2 + np.log(10) / 0.24


@pytest.mark.parametrize("kappa", [0.0, -0.1, float("nan"), float("inf")])
def test_kappa_must_be_a_positive_number(kappa):
    with pytest.raises(InvalidValueError, match="kappa"):
        Yukawa(kappa)
