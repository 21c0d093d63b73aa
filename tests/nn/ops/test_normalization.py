"""Norms standardize, over what they say."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import real

import sci.nn as P
from sci.errors import DTypeError, ShapeError
from sci.nn.core.tape import value_of


def test_norms_standardize():
    x = 5 + 3 * real(2, 6, 8, 8)
    out = P.instance_norm(x, eps=0.0)
    np.testing.assert_allclose(out.mean(axis=(2, 3)), 0, atol=1e-14)
    np.testing.assert_allclose(out.std(axis=(2, 3)), 1)
    one = np.ones(6)
    np.testing.assert_allclose(P.group_norm(x, one, 0 * one, groups=6, eps=0.0), out, rtol=1e-13)
    flat = P.layer_norm(x.reshape(2, -1), np.ones(384), np.zeros(384))
    np.testing.assert_allclose(P.group_norm(x, one, 0 * one).reshape(2, -1), flat, rtol=1e-13)


def test_empty_batches_are_empty():
    weight = np.ones(4)
    for op, x, weights in (
        (P.layer_norm, np.empty((0, 4)), (weight, weight)),
        (P.rms_norm, np.empty((0, 3, 4)), (weight,)),
        (P.group_norm, np.empty((0, 4, 5)), (weight, weight)),
        (P.instance_norm, np.empty((0, 4, 5)), ()),
    ):
        out, residuals = op.forward(x, *weights)
        assert out.shape == x.shape
        gradients = op.vjp(out, residuals)
        assert gradients[0].shape == x.shape
        for gradient in gradients[1:]:
            np.testing.assert_array_equal(gradient, np.zeros(4))


def test_weights_and_dtypes_that_do_not_fit_are_refused():
    x = real(2, 6, 4)
    for call in (
        lambda: P.layer_norm(x, np.ones(3), np.ones(4)),
        lambda: P.rms_norm(x, np.ones((1, 4))),
        lambda: P.group_norm(x, np.ones(4), np.ones(6)),
        lambda: P.instance_norm(real(3)),
        lambda: P.instance_norm(np.empty((2, 3, 0))),
    ):
        with pytest.raises(ShapeError, match="expected"):
            call()
    with pytest.raises(DTypeError, match="expected float32 or float64"):
        P.layer_norm(x.astype("f2"), np.ones(4, "f2"), np.ones(4, "f2"))


@pytest.mark.parametrize(
    ("dtype", "mean", "scale"), [("f4", 0, 1e19), ("f4", 0, 1e36), ("f8", 0, 1e300), ("f4", 1e6, 1)]
)
def test_directional_derivatives_keep_large_entries_and_means(dtype, mean, scale):
    rng = np.random.default_rng(2)
    x, along, one = (
        ((mean + rng.normal(size=(1, 2, 300))) * scale).astype(dtype),
        rng.normal(size=(1, 2, 300)),
        np.ones(2),
    )
    wide = (x / np.array(scale, dtype)).astype("f8")
    for norm in (
        lambda x: P.instance_norm(x, eps=0.0),
        lambda x: P.group_norm(x, one.astype(x.dtype), 0 * one.astype(x.dtype), eps=0.0),
    ):
        found, expected = (
            value_of(P.directional_derivatives(norm, a, along.astype(a.dtype), order=1)[1]) for a in (x, wide)
        )
        np.testing.assert_allclose(found * np.float64(scale), expected, atol=5e-6 * np.abs(expected).max())
