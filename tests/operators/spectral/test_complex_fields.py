"""Convolutions of complex fields: derivatives, a shift as a convolution, the order that neuraloperator takes."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

from sci.errors import DTypeError
from sci.nn import relative_l2, value_and_gradients
from sci.operators import SpectralConv
from sci.operators.spectral.complex_fields import complex_spectral_convolution, joined, stacked, times_i
from sci.operators.spectral.weights import WeightFormat


def complex_normal(rng, *shape):
    return rng.normal(size=(*shape, 2)).view(complex)[..., 0]


def test_stacks():
    x = complex_normal(np.random.default_rng(0), 2, 3, 4)
    np.testing.assert_array_equal(joined(stacked(x)), x)
    np.testing.assert_array_equal(joined(times_i(stacked(x))), 1j * x)
    for op, argument in ((stacked, x), (joined, stacked(x)), (times_i, stacked(x))):
        assert_vjp(op, [argument])


@pytest.mark.parametrize(("grid", "target"), [((9,), None), ((6, 7), (9, 8)), ((7, 6), (4, 5)), ((3, 4, 5), None)])
@pytest.mark.parametrize("exact", [True, False])
def test_gradients(grid, target, exact):
    if target and not exact:
        target = None
    rng = np.random.default_rng(0)
    form = WeightFormat(2, 3, (5, 4, 6)[-len(grid) :], complex_data=True)
    weights = form.initialize(rng, np, np.complex128)
    arguments = [rng.normal(size=(4, 2, *grid)), rng.normal(size=3), *weights.values()]
    assert_vjp(complex_spectral_convolution, arguments, names=tuple(weights), form=form, grid=target, exact=exact)


@pytest.mark.parametrize("n", [8, 9])
def test_phases_of_all_wavenumbers_are_a_shift(n):
    """W(k) = exp(-2 pi i k s / n) moves a complex field by s points: every wavenumber meets its own weight."""
    k = np.arange(n) - n // 2
    phase = np.exp(-2j * np.pi * k * 3 / n)
    weight = (phase[:, None] * np.exp(-2j * np.pi * k * 2 / n))[..., None, None]
    form = WeightFormat(1, 1, (n, n), complex_data=True)
    layer = SpectralConv({"bias": np.zeros(1), "weight": weight}, form)
    x = complex_normal(np.random.default_rng(1), 2, 1, n, n)
    np.testing.assert_allclose(layer(x), np.roll(x, (3, 2), axis=(2, 3)), rtol=0, atol=1e-12)


def test_other_grids_keep_the_function():
    layer = SpectralConv.create(1, 2, (5, 5), complex_data=True, seed=2)

    def sampled(n):
        i, j = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
        return (np.exp(2j * np.pi * (i - 2 * j)) + np.exp(-4j * np.pi * i))[None, None]

    np.testing.assert_allclose(layer(sampled(30))[..., ::3, ::3], layer(sampled(10)), atol=1e-12)
    np.testing.assert_allclose(layer(sampled(10), grid=(30, 30)), layer(sampled(30)), atol=1e-12)


def test_neuraloperator_takes_the_first_columns_of_a_shifted_spectrum():
    form = WeightFormat(1, 1, (3, 2), complex_data=True)
    options = {"names": ("weight",), "form": form, "exact": False}
    i, j = np.meshgrid(np.arange(8) / 8, np.arange(8) / 8, indexing="ij")
    for wave, column in ((-4, 0), (-3, 1)):
        x = stacked(np.exp(2j * np.pi * (i + wave * j))[None, None])
        y = joined(complex_spectral_convolution(x, np.zeros(1), np.ones((3, 2, 1, 1), complex), **options))
        np.testing.assert_allclose(y[0, 0], np.exp(2j * np.pi * (i + column * j)), rtol=0, atol=1e-12)


def test_a_layer_of_complex_fields_trains_and_refuses_real_ones():
    layer = SpectralConv.create(1, 1, (3, 3), complex_data=True, factorization="cp", tensor_rank=2)
    x = complex_normal(np.random.default_rng(3), 2, 1, 6, 5).astype(np.complex64)
    loss, gradients = value_and_gradients(lambda p: relative_l2(layer.forward(p, x), target=2 * x), layer.parameters)
    assert loss > 0
    assert all(np.abs(g).max() > 0 for g in gradients.values())
    with pytest.raises(DTypeError, match="complex64"):
        layer(x.real)
