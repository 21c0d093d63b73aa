"""Mixing and synthesis in one launch on a device: where it is done, and that the answers are those of the host."""

from __future__ import annotations

import sys

import fake_cupy
import numpy as np
import pytest

from sci.backend import to_device, to_host
from sci.operators import FNO
from sci.operators.spectral.convolution import mixed_rows, spectral_convolution, spectral_gradients
from sci.operators.spectral.mixing import mixes_at_once
from sci.operators.spectral.transform import field_of_rows
from sci.operators.spectral.weights import WeightFormat


@pytest.fixture
def cupy(monkeypatch):
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize(("modes", "grid"), [((4, 3), (7, 4)), ((4, 3), (40, 9)), ((3, 2, 2), (4, 5, 6))])
def test_values_and_gradients_are_those_of_the_host(cupy, modes, grid):
    form, rng = WeightFormat(3, 5, modes), np.random.default_rng(0)
    weight = form.initialize(rng, np, np.complex128)["weight"]
    x, bias, dout = rng.normal(size=(2, 3, *grid)), rng.normal(size=5), rng.normal(size=(2, 5, *grid))
    added = rng.normal(size=x.shape)
    value, residuals = spectral_convolution.forward(x, bias, weight, names=("weight",), form=form)
    expected = spectral_convolution.vjp(dout, residuals)
    there = [to_device(a, cupy) for a in (x, bias, weight)]
    assert mixes_at_once(there[0], form, modes, {"weight": there[2]})
    rows, kept = mixed_rows(*there, names=("weight",), form=form, layer=0)
    np.testing.assert_allclose(to_host(field_of_rows(rows, grid)), value, rtol=0, atol=1e-12)
    found = spectral_gradients(to_device(dout, cupy), kept, to_device(added, cupy))
    for own, other in zip(found, (expected[0] + added, *expected[1:])):
        np.testing.assert_allclose(to_host(own), other, rtol=0, atol=1e-12 * np.abs(other).max())


def test_other_weights_and_grids_go_step_by_step(cupy):
    x = cupy.zeros((1, 3, 8, 8))
    weights = {"weight": None}
    assert not mixes_at_once(cupy.asnumpy(x), WeightFormat(3, 5, (4, 3)), (4, 3), weights)
    assert not mixes_at_once(x, WeightFormat(3, 5, (4, 3)), (4, 2), weights)  # fewer modes than are stored
    assert not mixes_at_once(x, WeightFormat(3, 3, (4, 3), "tucker"), (4, 3), {})
    assert not mixes_at_once(x, WeightFormat(3, 3, (4, 3), separable=True), (4, 3), weights)
    assert not mixes_at_once(x, WeightFormat(3, 300, (4, 3)), (4, 3), weights)  # no room in a block
    model = FNO((4, 4), 1, 1, 300, 1)
    there = {name: to_device(p, cupy) for name, p in model.parameters.items()}
    field = np.random.default_rng(0).normal(size=(1, 1, 6, 6))
    found = FNO.of(model.config, there)(to_device(field, cupy))
    np.testing.assert_allclose(to_host(found), model(field), rtol=0, atol=1e-11)
