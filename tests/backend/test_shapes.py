"""Arrays without numbers: views and copies as NumPy makes them, memory as Python frees it, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.backend import ShapeArray, namespace, shape_array, shape_functions, tallying
from sci.errors import DTypeError, InvalidValueError, ShapeError


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1:, ::2],
        lambda x: x[0],
        lambda x: x[..., None, 1],
        lambda x: x.T,
        lambda x: x.reshape(6, -1),
        lambda x: x.T.reshape(4, 3, 2),
        lambda x: x.swapaxes(0, 2),
        lambda x: x.transpose(1, 0, 2),
        lambda x: x[[0, 1, 1]],
        lambda x: x[np.array([True, False])],
        lambda x: x[np.array([[0, 1]]), :, 2],
        lambda x: x[:, ::-1].reshape(2, -1),
        lambda x: x.view(np.float32),
        lambda x: x[:0].reshape(0, 12),
        lambda x: x.astype(np.float32).real,
        lambda x: x.astype(complex).imag,
        lambda x: x.ravel(),
        lambda x: x.squeeze(),
    ],
)
def test_views_and_copies_have_the_layout_of_numpy(view) -> None:
    x = np.zeros((2, 3, 4))
    found, expected = view(shape_array(x.shape)), view(x)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.flags.c_contiguous == expected.flags.c_contiguous
    assert found.strides == expected.strides


def test_memory_is_held_by_the_last_view_and_by_nothing_after_it() -> None:
    with tallying() as tally:
        x = shape_array(1000)
        view = x[10:].reshape(-1, 11)
        del x
        assert tally.live == 8000
        copy = view.T.reshape(-1)
        assert tally.live == 8000 + 7920
        del view, copy
    assert (tally.live, tally.peak) == (0, 15920)


def test_arrays_larger_than_any_memory_cost_nothing() -> None:
    x = shape_array((10**6, 10**6, 10**3), np.float32)
    assert (x + x[0]).nbytes == 4 * 10**15


def test_the_namespace_follows_the_arrays() -> None:
    assert namespace(np.zeros(2), shape_array(2)) is shape_functions
    assert namespace(np.zeros(2)) is np


@pytest.mark.parametrize(
    ("asks", "error"),
    [
        (lambda x: bool(x[0] > 0), DTypeError),
        (lambda x: np.asarray(x), DTypeError),
        (lambda x: np.unique(x), DTypeError),
        (lambda x: float(x), DTypeError),
        (lambda x: x[x > 0], InvalidValueError),
        (lambda x: x.__setitem__(0, np.zeros((2, 3))), ShapeError),
        (lambda x: x.__setitem__(0, np.zeros(4)), ValueError),
        (lambda x: shape_array((2, -1)), ShapeError),
        (lambda x: x.reshape(7), ValueError),
        (lambda x: x.tobytes(), AttributeError),
        (lambda x: np.add(x, x, out=(shape_array(2),)), ValueError),
    ],
)
def test_what_needs_numbers_or_does_not_fit_is_refused(asks, error) -> None:
    with pytest.raises(error):
        asks(shape_array((3, 3)))


def test_good_input_is_taken_for_granted() -> None:
    x = shape_array((3, 3))
    assert np.isfinite(x).all()
    assert not (x < 0).any()
    assert float(x.sum()) == 1.0


def test_a_write_changes_nothing_and_fits() -> None:
    x = shape_array((3, 4))
    x[1:, :2] = np.ones((1, 2, 2))
    x += 1
    x[0] -= shape_array(4)
    assert isinstance(x, ShapeArray)
    assert x.shape == (3, 4)


@pytest.mark.parametrize(
    ("shape", "cut", "axes", "sizes"),
    [
        ((4, 6), (slice(None), slice(None)), (0, 1), (2, 12)),
        ((4, 6), (slice(None), slice(0, 3)), (0, 1), (12,)),
        ((4, 6), (slice(None), slice(0, 3)), (0, 1), (2, 2, 3)),
        ((4, 6), (slice(None), slice(None, None, 2)), (0, 1), (4, 3, 1)),
        ((4, 6), (slice(None), slice(None, None, 2)), (0, 1), (12,)),
        ((4, 6), (slice(None), slice(None)), (1, 0), (6, 2, 2)),
        ((4, 6), (slice(None), slice(None)), (1, 0), (24,)),
        ((2, 1, 6), (slice(None), slice(None), slice(1, 5)), (0, 1, 2), (2, 2, 2)),
        ((2, 3, 6), (slice(0, 0), slice(None), slice(None)), (0, 1, 2), (6, 0)),
    ],
)
def test_a_reshape_is_a_view_where_numpy_makes_one(shape, cut, axes, sizes):
    real = np.zeros(shape)[cut].transpose(axes)
    base = shape_array(shape)
    found, expected = base[cut].transpose(*axes).reshape(sizes), real.reshape(sizes)
    assert found.shape == expected.shape
    if real.size:
        assert (found._buffer is base._buffer) == np.shares_memory(expected, real)
        kept = [k for k, n in enumerate(sizes) if n > 1]
        assert [found.strides[k] for k in kept] == [expected.strides[k] for k in kept]


def test_an_outline_far_larger_than_memory_is_reshaped():
    """A copy in another order must not touch what is not there."""
    found = shape_array((1, 1, 1, 4000, 4000, 4000), np.float32)[..., 1:-1, 1:-1, 1:-1].reshape(1, 3998**3)
    assert found.shape == (1, 3998**3)
