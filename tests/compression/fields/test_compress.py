"""Compression holds its bound at every point, for fields of any shape and unit, and refuses what is no field."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from smooth_fields import smooth_field

from sci.compression import compress
from sci.compression.fields.header import METHODS
from sci.errors import DTypeError, InvalidValueError, ShapeError

NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, 1.0, -1.0, 2.0**-140, 2.0**127])


def assert_within(field: np.ndarray, tol: float, bound: str, **options: object) -> None:
    """Check the bound, and that the errors told are those of the field."""
    small = compress(field, tol, bound=bound, **options)
    found = small.decompress()
    assert found.dtype == field.dtype
    assert found.shape == field.shape
    scale = 2.0 ** -np.frexp(np.abs(field).max().astype(float))[1]
    a, b = field * scale.astype(float), found * scale.astype(float)
    norm, extent = np.linalg.norm(a.astype(float)), np.ptp(a.astype(float))
    missed, top = np.linalg.norm(a.astype(float) - b), np.abs(a.astype(float) - b).max()
    assert missed <= tol * norm if bound == "l2" else top <= tol * extent, small
    assert small.ratio > 0.15 or field.size < 300
    if norm * scale > 1e-280:
        np.testing.assert_allclose(small.relative_l2_error, missed / (norm or 1.0), rtol=1e-9, atol=1e-17)
        np.testing.assert_allclose(small.relative_maximum_error, top / (extent or 1.0), rtol=1e-9, atol=1e-17)


@given(
    hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(max_dims=4, max_side=5), elements=NUMBERS),
    st.sampled_from([0.3, 1e-3, 1e-7, 1e-14]),
    st.sampled_from(["l2", "maximum"]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_field_is_within_its_bound(field, tol, bound, periodic):
    assert_within(field, tol, bound, periodic=range(field.ndim) if periodic else ())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bound", ["l2", "maximum"])
@pytest.mark.parametrize("tol", [0.1, 1e-3, 3e-6])
def test_each_method_holds_the_bound(method, bound, tol):
    for shape, dtype in (((70,), np.float32), ((21, 30), np.float64), ((12, 9, 17), np.float32), ((5, 4, 6, 7), "f8")):
        field = smooth_field(shape).astype(dtype)
        assert_within(field, tol, bound, methods=[method])
        assert_within(field + 1000, tol, bound, methods=[method], periodic=(0,))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_near_rounding_are_held_and_small_where_float64_tells_them(method, dtype):
    field = smooth_field((16, 12, 14)).astype(dtype)
    for tol in (1e-9, 1e-13, 6e-14):
        assert_within(field, tol, "l2", methods=[method])
        assert_within(field + 1e6, tol, "l2", methods=[method])
    spike = field.copy()
    spike[3, 4, 5] = 1e12
    assert_within(spike, 1e-13, "l2", methods=[method])


def test_the_tucker_format_keeps_its_bytes_at_bounds_that_squares_do_not_tell():
    x = np.linspace(0.0, 1.0, 32)
    field = np.exp(-x[:, None, None] * x[:, None] - x)
    for tol in (1e-9, 1e-12):
        small = compress(field, tol, methods=["tucker"])
        assert small.method == "tucker"
        assert 0.3 * tol < small.relative_l2_error <= tol
        assert small.ratio > 20


@pytest.mark.parametrize("bound", ["l2", "maximum"])
def test_units_change_nothing(bound):
    field = smooth_field((20, 24, 18), dtype=np.float64)
    first = compress(field, 1e-3, bound=bound)
    for unit in (2.0**-900, 2.0**70, 2.0**900):
        other = compress(field * unit, 1e-3, bound=bound)
        assert other.nbytes <= first.nbytes + 1
        np.testing.assert_array_equal(other.decompress(), first.decompress() * unit)
        np.testing.assert_allclose(other.relative_l2_error, first.relative_l2_error, rtol=1e-9)
    assert abs(compress(field * 1e-20, 1e-3, bound=bound).nbytes / first.nbytes - 1) < 0.02


def test_an_absolute_bound_is_in_the_units_of_the_field():
    field = 50 * smooth_field((16, 16, 16))
    small = compress(field, 0.25, bound="maximum", relative=False)
    assert 0.2 < small.maximum_error <= 0.25
    small = compress(field, 9.0, relative=False)
    assert 8.5 < small.l2_error <= 9.0
    assert compress(field, 1e9, relative=False).nbytes < 50


def test_constant_fields_take_a_few_bytes():
    for value in (0.0, -3.7, 1e-310):
        small = compress(np.full((50, 60), value), 1e-3, bound="maximum")
        assert small.method == "constant"
        assert small.nbytes < 24
        assert small.l2_error == small.maximum_error == 0.0
        np.testing.assert_array_equal(small.decompress(), np.full((50, 60), value))


def test_a_field_that_no_method_takes_is_stored_without_loss():
    field = np.random.default_rng(1).normal(size=(10, 10))
    small = compress(field, 1e-16, bound="maximum")
    assert small.method == "lossless"
    np.testing.assert_array_equal(small.decompress(), field)


def test_points_that_rounding_takes_beyond_the_bound_are_exact():
    """One value among huge ones: the field in the other points is far below the rounding of its sums."""
    field = smooth_field((9, 9, 9), dtype=np.float64)
    field[4, 4, 4] = 1e14
    small = compress(field, 1e-3, bound="maximum", relative=False)
    assert np.abs(small.decompress() - field).max() <= 1e-3


def test_what_is_no_field_is_refused():
    field = smooth_field((4, 5))
    for bad in (np.nan, np.inf):
        with pytest.raises(InvalidValueError, match=r"NaN or infinite at index \(2, 3\)"):
            compress(np.where(np.arange(20).reshape(4, 5) == 13, bad, field), 1e-3)
    for tol in (0.0, -1e-3, np.nan, np.inf):
        with pytest.raises(InvalidValueError, match="tol"):
            compress(field, tol)
    with pytest.raises(DTypeError, match="float32 or float64"):
        compress(field.astype(np.float16), 1e-3)
    for shape in ((), (0, 3), (2, 2, 2, 2, 2)):
        with pytest.raises(ShapeError, match="axes"):
            compress(np.zeros(shape), 1e-3)
    with pytest.raises(InvalidValueError, match="periodic"):
        compress(field, 1e-3, periodic=(2,))
    with pytest.raises(InvalidValueError, match="methods"):
        compress(field, 1e-3, methods=())
    with pytest.raises(InvalidValueError, match="exceeds float64"):
        compress(np.linspace(1e308, 1.5e308, 9), 1e-3)
