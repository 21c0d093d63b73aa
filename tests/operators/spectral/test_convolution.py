"""Spectral convolutions: derivatives on grids of every parity, and the same function on another grid."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

from sci.operators import SpectralConv
from sci.operators.spectral.convolution import spectral_convolution
from sci.operators.spectral.modes import stored_modes
from sci.operators.spectral.weights import WeightFormat


def normal(rng, *shape):
    return rng.normal(size=shape)


@pytest.mark.parametrize("grid", [(9,), (6, 7), (7, 6), (4, 5, 6)])
@pytest.mark.parametrize("other", [None, 3])
def test_gradients_of_a_spectral_convolution(grid, other):
    rng = np.random.default_rng(0)
    form = WeightFormat(2, 3, stored_modes((5, 4, 6)[-len(grid) :]))
    weights = form.initialize(rng, np, np.complex128)
    target = tuple(n + other for n in grid) if other else None
    arguments = [normal(rng, 2, 2, *grid), normal(rng, 3), *weights.values()]
    options = {"names": tuple(weights), "form": form, "grid": target}
    assert_vjp(spectral_convolution, arguments, **options)


def test_the_same_function_on_another_grid():
    """A band-limited input through one spectral convolution: values at shared points agree."""
    layer = SpectralConv.create(1, 2, (5, 5), seed=2)

    def sampled(n):
        i, j = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
        return (np.cos(2 * np.pi * (i + j)) + np.sin(4 * np.pi * i))[None, None]

    coarse, fine = layer(sampled(10)), layer(sampled(30))
    np.testing.assert_allclose(fine[..., ::3, ::3], coarse, atol=1e-12)
    np.testing.assert_allclose(layer(sampled(10), grid=(30, 30)), fine, atol=1e-12)


def test_repr_tells_channels_modes_and_bytes():
    text = repr(SpectralConv.create(2, 3, (8, 8), factorization="tucker", tensor_rank=2))
    assert text == "SpectralConv(2 -> 3 channels, (8, 5) stored modes, tucker (2, 2, 2, 2), 0.4 kB)"
