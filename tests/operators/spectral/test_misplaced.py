"""The convolution that misplaces wavenumbers: derivatives, and where each wave of the input ends up."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

from sci.operators.spectral.convolution import spectral_convolution
from sci.operators.spectral.misplaced import misplaced_convolution
from sci.operators.spectral.weights import WeightFormat


@pytest.mark.parametrize(
    ("grid", "other"), [((8,), (12,)), ((8, 6), (12, 9)), ((8, 6), (4, 3)), ((4, 6, 4), (6, 3, 8))]
)
def test_gradients(grid, other):
    rng = np.random.default_rng(0)
    form = WeightFormat(2, 3, (4, 3, 3)[-len(grid) :])
    weights = form.initialize(rng, np, np.complex128)
    arguments = [rng.normal(size=(2, 2, *grid)), rng.normal(size=3), *weights.values()]
    assert_vjp(misplaced_convolution, arguments, names=tuple(weights), form=form, grid=other)


def test_negative_wavenumbers_become_others():
    """On 8 to 12 points -1 stands at place 7, which is wavenumber -5 there; on 4 points it is lost."""
    form = WeightFormat(1, 1, (4, 3))
    options = {"names": ("weight",), "form": form}
    arguments = (np.zeros(1), np.ones((4, 3, 1, 1), complex))

    def wave(n, k):
        i, j = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
        return np.cos(2 * np.pi * (k * i + j))[None, None]

    finer = misplaced_convolution(wave(8, -1), *arguments, **options, grid=(12, 12))
    np.testing.assert_allclose(finer, wave(12, -5), rtol=0, atol=1e-12)
    coarser = misplaced_convolution(wave(8, -1), *arguments, **options, grid=(4, 4))
    np.testing.assert_allclose(coarser, 0, atol=1e-12)
    for k in (0, 1):
        right = spectral_convolution(wave(8, k), *arguments, **options, grid=(12, 12))
        np.testing.assert_allclose(
            misplaced_convolution(wave(8, k), *arguments, **options, grid=(12, 12)), right, rtol=0, atol=1e-12
        )
