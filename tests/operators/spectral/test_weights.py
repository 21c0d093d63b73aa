"""Factorized weights: rank rules, initial deviation, contraction against the dense tensor, gradients."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError
from sci.operators.spectral.modes import weight_window
from sci.operators.spectral.weights import FACTORIZATIONS, WeightFormat

FORMATS = [(f, layers) for f in FACTORIZATIONS for layers in (0, 3) if not (f == "dense" and layers)]


def complex_normal(rng, shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@pytest.mark.parametrize(("factorization", "layers"), FORMATS)
def test_initial_deviation(factorization, layers):
    wanted = np.sqrt(2 / 64)
    drawn = [
        w.to_dense(w.initialize(np.random.default_rng(seed), np)).std()
        for seed in range(4)
        for w in (WeightFormat(32, 32, (16, 9), factorization, 0.1, layers=layers),)
    ]
    assert 0.75 < np.mean(drawn) / wanted < 1.25


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(("factorization", "layers"), FORMATS)
def test_contraction_and_gradients(dim, factorization, layers):
    rng = np.random.default_rng(dim)
    modes = (4, 5, 3)[3 - dim :]
    kept = (3, *modes[1:-1], 2)[-dim:] if dim > 1 else (2,)
    w = WeightFormat(4, 3, modes, factorization, 0.4, layers=layers)
    layer = 1 if layers else 0
    parameters = w.initialize(rng, np, np.complex128)
    assert {name: p.shape for name, p in parameters.items()} == w.shapes()
    dense = w.to_dense(parameters, layer)
    assert dense.shape == (4, 3, *modes)
    x = complex_normal(rng, (*kept, 2, 4))
    y, residuals = w.mix(x, parameters, layer)
    k = "xyz"[:dim]
    window = (slice(None), slice(None), *weight_window(modes, kept))
    np.testing.assert_allclose(y, np.einsum(f"{k}bi,io{k}->{k}bo", x, dense[window]), atol=1e-13)

    dout = complex_normal(rng, y.shape)
    dx, gradients = w.mix_vjp(dout, residuals)
    for name, value, gradient in [("X", x, dx), *((n, parameters[n], gradients[n]) for n in parameters)]:
        assert gradient.shape == value.shape
        step = complex_normal(rng, value.shape)

        def at(t, name=name, value=value, step=step):
            changed = {**parameters, **({} if name == "X" else {name: value + t * step})}
            out, _ = w.mix(value + t * step if name == "X" else x, changed, layer)
            return (out.conj() * dout).sum().real

        expected = (at(1e-5) - at(-1e-5)) / 2e-5
        assert abs((gradient.conj() * step).sum().real - expected) < 1e-7 * abs(expected)


def test_joint_layers_share_one_tensor():
    rng = np.random.default_rng(0)
    for factorization in FACTORIZATIONS[1:]:
        w = WeightFormat(3, 4, (4, 3), factorization, 0.5, layers=2)
        parameters = w.initialize(rng, np, np.complex128)
        assert w.shape == (2, 3, 4, 4, 3)
        first, second = w.to_dense(parameters, 0), w.to_dense(parameters, 1)
        swapped = {**parameters, "factor_0": parameters["factor_0"][..., ::-1, :]}
        np.testing.assert_allclose(w.to_dense(swapped, 0), second, atol=1e-14)
        assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize(("factorization", "layers"), [f for f in FORMATS if f[0] != "dense"])
def test_the_tensor_is_that_of_the_format(factorization, layers):
    """The format's own dense tensor is the one that the contraction applies, layer by layer."""
    w = WeightFormat(4, 3, (5, 3), factorization, 0.4, layers=layers)
    parameters = w.initialize(np.random.default_rng(0), np, np.complex128)
    tensor = w.tensor(parameters)
    assert tensor.shape == w.shape
    assert tensor.nbytes == 16 * w.n_parameters
    dense = tensor.to_dense()
    for layer in range(layers or 1):
        np.testing.assert_allclose(w.to_dense(parameters, layer), dense[layer] if layers else dense, atol=1e-14)
    with pytest.raises(InvalidValueError, match="dense"):
        WeightFormat(4, 3, (5, 3)).tensor({})


def test_bad_formats_are_refused():
    for arguments in (
        ("svd",),
        ("tucker", 0.0),
        ("tucker", (2, 2)),
        ("tucker", 1.0, (2, 2)),
        ("cp", 1.0, 0),
        ("dense", 1.0, None, 4),
        ("tt", float("nan")),
    ):
        with pytest.raises((InvalidValueError, DTypeError)):
            WeightFormat(4, 4, (4, 3), *arguments)
