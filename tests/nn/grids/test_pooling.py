"""Means and maxima over windows against their definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from gradients import assert_vjp
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.backend import shape_array
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import average_pool, max_pool

RNG = np.random.default_rng(9)


def plain(x, window, stride, before, out, reduce):
    """The definition, window by window."""
    found = np.empty((*x.shape[:2], *out))
    for at in itertools.product(*map(range, out)):
        box = tuple(slice(max(0, i * s - b), max(0, i * s - b + k)) for i, s, b, k in zip(at, stride, before, window))
        found[(..., *at)] = reduce(x[(..., *box)], axis=tuple(range(2, x.ndim)))
    return found


@settings(max_examples=60, deadline=None)
@given(data=st.data(), axes=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_pools_agree_with_their_definition(data, axes, seed):
    each = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    window, stride, out = each(1, 4), each(1, 4), each(1, 4)
    margins = tuple((data.draw(st.integers(0, (k - 1) // 2)), data.draw(st.integers(0, (k - 1) // 2))) for k in window)
    grid = tuple((m - 1) * s + k - a - b for m, s, k, (a, b) in zip(out, stride, window, margins))
    if min(grid) < 1:
        return
    x = np.random.default_rng(seed).normal(size=(2, 3, *grid))
    for pool, reduce in ((average_pool, np.mean), (max_pool, np.max)):
        found = pool(x, window=window, stride=stride, padding=margins)
        np.testing.assert_allclose(found, plain(x, window, stride, [a for a, _ in margins], out, reduce), atol=1e-13)
        assert_vjp(pool, [x], window=window, stride=stride, padding=margins, directions=1)


def test_same_makes_a_last_window_of_the_cells_that_are_left():
    x = np.arange(5.0)[None, None]
    np.testing.assert_array_equal(average_pool(x, padding="same")[0, 0], [0.5, 2.5, 4])
    np.testing.assert_array_equal(max_pool(x, window=3, stride=2, padding="same")[0, 0], [1, 3, 4])


def test_the_first_of_equal_cells_has_the_gradient():
    x = np.zeros((1, 1, 2, 2))
    out, kept = max_pool.forward(x)
    np.testing.assert_array_equal(max_pool.vjp(np.ones_like(out), kept)[0][0, 0], [[1, 0], [0, 0]])


def test_arrays_without_numbers_have_the_shapes():
    x = shape_array((2, 4, 9, 8), "f4")
    for pool in (average_pool, max_pool):
        out, kept = pool.forward(x, window=3, stride=2, padding="same")
        assert (out.shape, pool.vjp(out, kept)[0].shape) == ((2, 4, 5, 4), x.shape)


def test_nan_is_shown():
    x = np.zeros((1, 1, 4))
    x[..., 1] = np.nan
    assert np.isnan(max_pool(x)[0, 0]).tolist() == [True, False]
    assert np.isnan(average_pool(x)[0, 0]).tolist() == [True, False]
    out, kept = max_pool.forward(x)
    np.testing.assert_array_equal(max_pool.vjp(np.ones_like(out), kept)[0][0, 0], [0, 1, 1, 0])


@pytest.mark.parametrize("pool", [average_pool, max_pool])
def test_misfits_are_refused_by_name(pool):
    with pytest.raises(ShapeError, match=r"leave .0, 1. cells of the grid .*padding='same'"):
        pool(np.ones((1, 2, 4, 3)))
    with pytest.raises(ShapeError, match="one to three axes"):
        pool(np.ones((1, 2)))
    with pytest.raises(InvalidValueError, match="window=0"):
        pool(np.ones((1, 2, 4)), window=0)
    with pytest.raises(InvalidValueError, match="without a cell"):
        pool(np.ones((1, 2, 4)), padding=2)
    with pytest.raises(ShapeError, match=r"spans .5,. cells"):
        pool(np.ones((1, 2, 4)), window=5)
    with pytest.raises(DTypeError, match="int64"):
        pool(np.ones((1, 2, 4), int))


@pytest.mark.peers
def test_torch_agrees():
    torch = pytest.importorskip("torch")
    x = np.maximum(RNG.normal(size=(2, 3, 8, 7, 9)), 0).astype("f4")
    given = torch.tensor(x, requires_grad=True)
    for ours, theirs in (
        (max_pool, torch.nn.functional.max_pool3d),
        (average_pool, lambda *a, **k: torch.nn.functional.avg_pool3d(*a, **k, count_include_pad=False)),
    ):
        given.grad = None
        out, kept = ours.forward(x, window=3, stride=2, padding=((1, 0), 1, 1))
        expected = theirs(given, kernel_size=3, stride=2, padding=1)
        np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-5, atol=1e-6)
        dout = RNG.normal(size=out.shape).astype("f4")
        expected.backward(torch.tensor(dout))
        np.testing.assert_allclose(ours.vjp(dout, kept)[0], given.grad.numpy(), rtol=1e-5, atol=1e-6)
