"""Every op: central differences, dtypes, plain identities, bad input."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special
from gradients import assert_vjp
from op_cases import OPS, RNG, real

import sci
import sci.nn as P
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.ops.activations import gelu_reference

IDS = [f"{k}-{name}" for k, (name, _, _) in enumerate(OPS)]


@pytest.mark.parametrize(("name", "args", "options"), OPS, ids=IDS)
def test_vjp_against_central_differences(name, args, options):
    assert_vjp(getattr(P, name), args, **options)


def test_every_op_has_a_case():
    assert {name for name, _, _ in OPS} == {n for n in P.__all__ if isinstance(getattr(P, n), P.Op)}
    assert not [n for n in P.__all__ if n.endswith("_vjp")]


def single(value):
    if not isinstance(value, np.ndarray):
        return value
    return value.astype({"f": "f4", "c": "c8", "i": "i8"}[value.dtype.kind])


@pytest.mark.parametrize(("name", "args", "options"), OPS, ids=IDS)
def test_single_precision_stays_single(name, args, options):
    op = getattr(P, name)
    args, options = [single(a) for a in args], {k: single(v) for k, v in options.items()}
    out, residuals = op.forward(*args, **options)
    assert out.dtype.itemsize == (4 if out.dtype.kind == "f" else 8)
    for a, gradient in zip(args, op.vjp(np.ones_like(out), residuals)):
        assert gradient is None or gradient.dtype == a.dtype
    kept = residuals if isinstance(residuals, tuple) else (residuals,)
    assert [r.dtype for r in kept if isinstance(r, np.ndarray) and r.dtype in ("f8", "c16")] == []


@pytest.mark.parametrize(("dtype", "tol"), [("f8", 4e-16), ("f4", 2.5e-7)])
@pytest.mark.parametrize("mode", ["compiled", "reference"])
def test_gelu_against_mpmath(mode, dtype, tol):
    x = np.concatenate([np.linspace(-12, 12, 301), [-1e-9, 0.0, 1e-9, -40.0, 40.0, -700.0, 1e4]]).astype(dtype)
    with sci.options(kernels=mode):
        value, slope = P.gelu.forward(x)
        assert np.array_equal(P.gelu(x), value)
    assert value.dtype == slope.dtype == dtype
    for xi, vi, si in zip(x, value, slope):
        t = mpmath.mpf(float(xi))
        scale = max(1.0, abs(float(xi)))
        assert abs(float(t * mpmath.ncdf(t) - mpmath.mpf(float(vi)))) <= tol * scale
        assert abs(float(mpmath.ncdf(t) + t * mpmath.npdf(t) - mpmath.mpf(float(si)))) <= 2 * tol * scale


def test_gelu_takes_strided_empty_and_scalar_arrays_and_keeps_nan():
    x = real(6, 5)
    np.testing.assert_allclose(P.gelu(x[::2, ::-1]), gelu_reference(x, False)[0][::2, ::-1], rtol=1e-13)
    assert P.gelu(np.empty((0, 3), "f4")).shape == (0, 3)
    assert P.gelu(np.array(0.5)).shape == ()
    for mode in ("compiled", "reference"):
        with sci.options(kernels=mode), np.errstate(invalid="ignore"):
            assert np.isnan(P.gelu(np.array([np.nan, 1.0])))[0]
    with pytest.raises(DTypeError, match="gelu of dtype complex128"):
        P.gelu(x + 0j)


def test_softmax_is_that_of_scipy_and_does_not_overflow():
    x = 1e4 * real(3, 5)
    np.testing.assert_allclose(P.softmax(x), scipy.special.softmax(x, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(P.log_softmax(x), scipy.special.log_softmax(x, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(P.silu(x), x * scipy.special.expit(x), rtol=1e-12)


def test_cross_entropy_is_the_mean_of_the_chosen_logs():
    logits, labels = real(5, 7), np.array([0, 6, 3, 3, 1])
    logs = scipy.special.log_softmax(logits, axis=-1)[np.arange(5), labels]
    assert P.cross_entropy(logits, labels) == pytest.approx(-logs.mean())
    weights = np.array([1.0, 0, 0, 3, 0])
    assert P.cross_entropy(logits, labels, weights=weights) == pytest.approx(-(logs[0] + 3 * logs[3]) / 4)


def test_norms_standardize():
    x = 5 + 3 * real(2, 6, 8, 8)
    out = P.instance_norm(x, eps=0.0)
    np.testing.assert_allclose(out.mean(axis=(2, 3)), 0, atol=1e-14)
    np.testing.assert_allclose(out.std(axis=(2, 3)), 1)
    one = np.ones(6)
    np.testing.assert_allclose(P.group_norm(x, one, 0 * one, groups=6, eps=0.0), out, rtol=1e-13)
    flat = P.layer_norm(x.reshape(2, -1), np.ones(384), np.zeros(384))
    np.testing.assert_allclose(P.group_norm(x, one, 0 * one).reshape(2, -1), flat, rtol=1e-13)


def test_embedding_adds_up_repeated_rows():
    table, indices = real(9, 4).astype("f4"), RNG.integers(0, 9, (50, 3))
    dout = real(50, 3, 4).astype("f4")
    expected = np.zeros((9, 4))
    np.add.at(expected, indices, dout)
    out, residuals = P.embedding.forward(table, indices)
    np.testing.assert_array_equal(out, table[indices])
    np.testing.assert_allclose(P.embedding.vjp(dout, residuals)[0], expected, rtol=1e-5, atol=1e-5)
    empty = P.embedding.forward(table, np.empty((0,), int))
    assert P.embedding.vjp(empty[0], empty[1])[0].shape == (9, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: P.einsum("ii->", real(3, 3)), InvalidValueError, "twice"),
        (lambda: P.einsum("ij,i->i", real(3, 3), real(3)), InvalidValueError, "in no other term"),
        (lambda: P.einsum("...i->i", real(3, 3)), InvalidValueError, "expected like"),
        (lambda: P.einsum("i,i", real(3), real(3)), InvalidValueError, "expected like"),
        (lambda: P.embedding(real(3, 2), np.array([3])), InvalidValueError, "from 3 to 3 in a table of 3"),
        (lambda: P.embedding(real(3, 2), np.array([-1])), InvalidValueError, "from -1"),
        (lambda: P.group_norm(real(2, 4, 3), real(4), real(4), groups=3), ShapeError, "4 channels in 3 groups"),
        (lambda: P.cross_entropy(real(2, 3), np.array([0, 3])), InvalidValueError, "outside of the 3 classes"),
        (lambda: P.cross_entropy(real(2, 3), np.array([0.0, 1])), DTypeError, "expected integers"),
        (lambda: P.cross_entropy(real(2, 3), np.array([0])), ShapeError, r"expected \(2,\)"),
        (lambda: P.concatenate(real(2), real(2).astype("f4"), axis=0), InvalidValueError, "one dtype"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
