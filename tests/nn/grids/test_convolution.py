"""Convolution and its transpose against SciPy, central differences, the adjoint, and plain sums."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

import sci
from sci.backend import shape_array, tallying
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import convolve, convolve_transposed, value_and_gradients

RNG = np.random.default_rng(8)


def plain(x, weight, bias, stride, dilation, margins, groups, mode):
    """The definition, by SciPy on the grid with its margins: taps spread by zeros, outputs thinned."""
    padded = np.pad(x, ((0, 0), (0, 0), *margins), mode=mode)
    spread = np.zeros((*weight.shape[:2], *(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:]))))
    spread[(..., *(slice(None, None, d) for d in dilation))] = weight
    per_out, per_in = len(weight) // groups, weight.shape[1]
    thinned = (..., *(slice(None, None, s) for s in stride))
    return np.array(
        [
            [
                bias[o]
                + sum(
                    correlate(image[o // per_out * per_in + c], spread[o, c], mode="valid", method="direct")
                    for c in range(per_in)
                )[thinned]
                for o in range(len(weight))
            ]
            for image in padded
        ]
    )


@st.composite
def calls(draw):
    axes = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    taps, stride, dilation = each(1, 4), each(1, 3), each(1, 3)
    margins = tuple(zip(each(0, 4), each(0, 4)))
    least = [max(1, d * (k - 1) + 1 - a - b) for d, k, (a, b) in zip(dilation, taps, margins)]
    grid = tuple(draw(st.integers(low, low + (20 if axes < 3 else 6))) for low in least)
    groups, inputs, outputs = (draw(st.integers(1, high)) for high in (3, 3, 9))
    options = {"stride": stride, "dilation": dilation, "padding": margins, "groups": groups}
    options["boundary"] = draw(st.sampled_from(["zeros", "periodic"]))
    return (2, groups * inputs, *grid), (groups * outputs, inputs, *taps), options


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@settings(max_examples=60, deadline=None)
@given(call=calls(), seed=st.integers(0, 2**32 - 1))
def test_convolution_agrees_with_scipy(kernels, call, seed):
    shape, taps, options = call
    rng = np.random.default_rng(seed)
    x, weight, bias = rng.normal(size=shape), rng.normal(size=taps), rng.normal(size=taps[0])
    mode = "wrap" if options["boundary"] == "periodic" else "constant"
    expected = plain(
        x, weight, bias, options["stride"], options["dilation"], options["padding"], options["groups"], mode
    )
    with sci.options(kernels=kernels):
        out, kept = convolve.forward(x, weight, bias, **options)
        np.testing.assert_allclose(out, expected, atol=1e-12, rtol=1e-12)
        dout = rng.normal(size=out.shape)
        dx, dweight, dbias = convolve.vjp(dout, kept)
    # Linear in each argument: <dout, out - bias> is <dx, x> and <dweight, weight>.
    linear = np.vdot(dout, out - bias.reshape(-1, *(1,) * (out.ndim - 2)))
    scale = 1e-11 * np.linalg.norm(dout) * (1 + np.linalg.norm(out))
    assert abs(np.vdot(dx, x) - linear) < scale
    assert abs(np.vdot(dweight, weight) - linear) < scale
    np.testing.assert_allclose(dbias, dout.sum(axis=(0, *range(2, out.ndim))), atol=1e-11)
    with sci.options(kernels=kernels):
        back = convolve_transposed(dout, weight, **options, size=shape[2:])
    np.testing.assert_array_equal(back, dx)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_gradients(kernels, dtype):
    x, w, b = RNG.normal(size=(2, 4, 4, 3, 6)), RNG.normal(size=(6, 2, 3, 2, 3)), RNG.normal(size=6)
    with sci.options(kernels=kernels):
        if dtype == "f8":
            assert_vjp(convolve, [x, w, b], groups=2, stride=(1, 2, 1))
            assert_vjp(convolve_transposed, [x[:, :, 0], w[:4, :, 0], b[:4]], groups=2, stride=2)
            return
        exact = convolve.forward(x, w, b, groups=2)
        single = convolve.forward(*(a.astype("f4") for a in (x, w, b)), groups=2)
        np.testing.assert_allclose(single[0], exact[0], rtol=1e-4, atol=1e-5)
        for found, expected in zip(convolve.vjp(single[0], single[1]), convolve.vjp(*exact)):
            assert found.dtype == "f4"
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_same_keeps_the_grid_and_a_stride_rounds_up():
    x = RNG.normal(size=(1, 1, 7, 10))
    assert convolve(x, np.ones((1, 1, 2, 5))).shape == (1, 1, 7, 10)
    assert convolve(x, np.ones((1, 1, 3, 3)), stride=(2, 3)).shape == (1, 1, 4, 4)
    assert convolve_transposed(x, np.ones((1, 3, 3, 3)), stride=2).shape == (1, 3, 14, 20)
    assert convolve_transposed(x, np.ones((1, 3, 3, 3)), stride=2, size=(13, 19)).shape == (1, 3, 13, 19)
    assert convolve_transposed(x, np.ones((1, 3, 2, 2)), stride=2, padding=0).shape == (1, 3, 14, 20)


def test_a_periodic_convolution_moves_with_the_field():
    x, w = RNG.normal(size=(1, 2, 6, 5)), RNG.normal(size=(3, 2, 3, 3))
    moved = convolve(np.roll(x, (2, 3), axis=(2, 3)), w, boundary="periodic")
    np.testing.assert_allclose(moved, np.roll(convolve(x, w, boundary="periodic"), (2, 3), axis=(2, 3)), atol=1e-13)


def test_a_bias_of_a_transposed_convolution_counts_once_where_no_tap_writes():
    out = convolve_transposed(np.ones((1, 1, 2)), np.ones((1, 1, 1)), np.full(1, 5.0), stride=3)
    np.testing.assert_array_equal(out[0, 0], [6, 5, 5, 6, 5, 5])


@pytest.mark.parametrize("kernels", ["auto", "reference"])
def test_nan_reaches_the_outputs_that_see_it_and_no_others(kernels):
    x = np.ones((1, 2, 9, 40), "f4")
    x[0, 1, 4, 20] = np.nan
    with sci.options(kernels=kernels):
        out = convolve(x, np.ones((3, 2, 3, 3), "f4"))
    assert np.array_equal(np.argwhere(np.isnan(out[0, 0])), [(i, j) for i in (3, 4, 5) for j in (19, 20, 21)])


@pytest.mark.parametrize("kernels", ["auto", "reference"])
def test_arrays_without_numbers_count_their_products(kernels):
    x, w = shape_array((2, 4, 9, 8), "f4"), shape_array((6, 2, 3, 3), "f4")
    with sci.options(kernels=kernels), tallying() as tally:
        out, kept = convolve.forward(x, w, stride=2, groups=2)
        assert tally.multiply_adds == 2 * 6 * 2 * 9 * 5 * 4
        dx, dweight, _ = convolve.vjp(out, kept)
    assert (out.shape, dx.shape, dweight.shape) == ((2, 6, 5, 4), x.shape, w.shape)


def test_an_empty_batch_and_variables():
    assert convolve(np.ones((0, 2, 4)), np.ones((3, 2, 3))).shape == (0, 3, 4)
    for operation in (convolve, convolve_transposed):
        value, gradient = value_and_gradients(
            lambda w, op=operation: op(np.ones((0, 2, 4)), w).sum(), np.ones((2, 2, 3))
        )
        assert float(value) == 0
        np.testing.assert_array_equal(gradient, np.zeros((2, 2, 3)))
    value, gradient = value_and_gradients(lambda w: convolve(np.ones((1, 1, 4)), w).sum(), np.ones((1, 1, 3)))
    assert float(value) == 10
    np.testing.assert_array_equal(gradient[0, 0], [3, 4, 3])


@pytest.mark.parametrize(
    ("error", "match", "x", "weight", "options"),
    [
        (ShapeError, r"expected x \(batch, inputs, \*grid\)", (1, 2, 4, 4), (3, 1, 3, 3), {}),
        (ShapeError, "one to three axes", (1, 2, 4, 4, 4, 4), (3, 2, 3, 3, 3, 3), {}),
        (ShapeError, "one to three axes", (1, 2, 4, 4), (3, 2, 3), {}),
        (ShapeError, "groups=2; expected a divisor", (1, 3, 4), (4, 1, 3), {"groups": 2}),
        (ShapeError, "groups=2; expected a divisor", (1, 4, 4), (3, 2, 3), {"groups": 2}),
        (
            ShapeError,
            "spans .9,. cells, the grid with its padding has .6,.",
            (1, 1, 6),
            (1, 1, 5),
            {"dilation": 2, "padding": 0},
        ),
        (ShapeError, "1 or more along each axis", (1, 1, 0), (1, 1, 1), {}),
        (InvalidValueError, "stride=0; expected an integer of 1", (1, 1, 4), (1, 1, 3), {"stride": 0}),
        (InvalidValueError, "stride", (1, 1, 4), (1, 1, 3), {"stride": 1.5}),
        (InvalidValueError, r"stride=.1, 2.; expected", (1, 1, 4), (1, 1, 3), {"stride": (1, 2)}),
        (DTypeError, "dilation is True", (1, 1, 4), (1, 1, 3), {"dilation": True}),
        (InvalidValueError, "padding=-1; expected 'same', an integer", (1, 1, 4), (1, 1, 3), {"padding": -1}),
        (InvalidValueError, "padding", (1, 1, 4), (1, 1, 3), {"padding": "valid"}),
        (InvalidValueError, "boundary", (1, 1, 4), (1, 1, 3), {"boundary": "reflect"}),
        (InvalidValueError, "groups=0", (1, 1, 4), (1, 1, 3), {"groups": 0}),
    ],
)
def test_misfits_are_refused_by_name(error, match, x, weight, options):
    with pytest.raises(error, match=match):
        convolve(np.ones(x), np.ones(weight), **options)


def test_arrays_of_other_kinds_are_refused():
    x, w = np.ones((1, 1, 4)), np.ones((1, 1, 3))
    with pytest.raises(DTypeError, match="x of dtype int64"):
        convolve(x.astype(int), w)
    with pytest.raises(InvalidValueError, match="weight of dtype float32"):
        convolve(x, w.astype("f4"))
    with pytest.raises(ShapeError, match=r"bias of shape \(2,\); expected \(1,\)"):
        convolve(x, w, np.ones(2))
    with pytest.raises(ShapeError, match=r"`convolve` makes \(5,\) cells"):
        convolve_transposed(x, w, stride=2, size=9)
    with pytest.raises(ShapeError, match=r"expected x .*inputs, outputs / groups"):
        convolve_transposed(np.ones((1, 2, 4)), w)
    with pytest.raises(ShapeError, match="pad less"):
        convolve_transposed(np.ones((1, 1, 2)), w, padding=4)


@pytest.mark.peers
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("stride", "dilation", "padding", "groups"), [(1, 1, 1, 1), (2, 1, 1, 2), (2, 2, 3, 1), (3, 1, 0, 4)]
)
def test_torch_agrees(axes, stride, dilation, padding, groups):
    torch = pytest.importorskip("torch")
    options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    x, b = RNG.normal(size=(2, 4, *(9, 8, 7)[:axes])).astype("f4"), RNG.normal(size=8).astype("f4")
    w, back = (RNG.normal(size=(*n, *(3, 3, 2)[:axes])).astype("f4") for n in ((8, 4 // groups), (4, 8 // groups)))
    for ours, theirs, weight in ((convolve, "conv", w), (convolve_transposed, "conv_transpose", back)):
        out, kept = ours.forward(x, weight, b, **options)
        given = [torch.tensor(a, requires_grad=True) for a in (x, weight, b)]
        expected = getattr(torch.nn.functional, f"{theirs}{axes}d")(*given, **options)
        np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-4, atol=1e-4)
        dout = RNG.normal(size=out.shape).astype("f4")
        expected.backward(torch.tensor(dout))
        for found, other in zip(ours.vjp(dout, kept), given):
            np.testing.assert_allclose(found, other.grad.numpy(), rtol=1e-4, atol=2e-4)
