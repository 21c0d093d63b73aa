"""Resampling against NumPy's interpolation, conservation, trigonometric polynomials, and the exact adjoint."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from gradients import assert_vjp
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.backend import shape_array
from sci.errors import InvalidValueError, ShapeError
from sci.nn import average_pool, resample

RNG = np.random.default_rng(10)


@settings(max_examples=80, deadline=None)
@given(
    grid=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    data=st.data(),
    method=st.sampled_from(["nearest", "linear", "cubic", "area", "adaptive", "spectral"]),
    corners=st.booleans(),
)
def test_every_method_is_linear_keeps_constants_and_has_its_adjoint(grid, data, method, corners):
    size = tuple(data.draw(st.integers(1, 9)) for _ in grid)
    options = {"size": size, "method": method, "align_corners": corners and method == "linear"}
    x = RNG.normal(size=(2, 3, *grid))
    np.testing.assert_allclose(resample(np.ones_like(x), **options), np.ones((2, 3, *size)), atol=1e-13)
    assert_vjp(resample, [x], **options)


@pytest.mark.parametrize(("n", "m"), [(2, 4), (5, 7), (7, 3), (6, 6), (1, 3), (4, 1)])
def test_linear_agrees_with_numpy(n, m):
    x = RNG.normal(size=(1, 1, n))
    centers = np.interp((np.arange(m) + 0.5) / m, (np.arange(n) + 0.5) / n, x[0, 0])
    np.testing.assert_allclose(resample(x, size=m, method="linear")[0, 0], centers, atol=1e-14)
    corners = np.interp(np.linspace(0, 1, m), np.linspace(0, 1, n), x[0, 0]) if n > 1 else np.full(m, x[0, 0, 0])
    np.testing.assert_allclose(resample(x, size=m, method="linear", align_corners=True)[0, 0], corners, atol=1e-14)


@pytest.mark.parametrize(("n", "m"), [(16, 1), (16, 3), (16, 5), (16, 13), (16, 16), (7, 4), (4, 7), (3, 5)])
def test_adaptive_is_the_mean_over_every_cell_that_is_met(n, m):
    x = RNG.normal(size=(2, 1, n))
    bins = [x[..., i * n // m : -(-(i + 1) * n // m)].mean(axis=-1) for i in range(m)]
    np.testing.assert_allclose(resample(x, size=m, method="adaptive"), np.stack(bins, axis=-1), atol=1e-15)


def _keys(x, m, a=-0.75):
    """Sum Keys' kernel over all cells, and over copies of the outermost ones."""
    n = len(x)
    far = np.arange(-8, n + 8)
    d = np.abs((np.arange(m)[:, None] + 0.5) * n / m - 0.5 - far)
    weights = np.where(d <= 1, (a + 2) * d**3 - (a + 3) * d**2 + 1, a * (d**3 - 5 * d**2 + 8 * d - 4)) * (d < 2)
    return weights @ np.pad(x, 8, mode="edge")


@pytest.mark.parametrize(("n", "m"), [(1, 4), (2, 4), (3, 16), (13, 16), (10, 16), (7, 3), (5, 5)])
def test_cubic_is_the_convolution_of_keys_with_clamped_edges(n, m):
    x = RNG.normal(size=n)
    np.testing.assert_allclose(resample(x[None, None], size=m, method="cubic")[0, 0], _keys(x, m), atol=1e-14)


def test_cubic_in_the_middle_of_two_cells_has_the_known_weights():
    x = np.array([[[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]]])
    up = resample(x, size=12, method="cubic")[0, 0] * 256  # of a = -3/4 at a quarter and three quarters of a cell
    np.testing.assert_allclose(up, [0, 0, 0, -9, -27, 67, 225, 225, 67, -27, -9, 0], atol=1e-12)


def test_nearest_takes_the_cell_that_holds_the_center():
    x = np.arange(5.0)[None, None]
    np.testing.assert_array_equal(resample(x, size=3)[0, 0], [0, 2, 4])
    np.testing.assert_array_equal(resample(x, factor=2)[0, 0], np.arange(5).repeat(2))
    np.testing.assert_array_equal(resample(x, size=7)[0, 0], [0, 1, 1, 2, 3, 3, 4])


def test_area_keeps_the_integral_and_is_the_mean_over_whole_cells():
    x = RNG.normal(size=(2, 3, 6, 10, 4))
    np.testing.assert_allclose(resample(x, factor=0.5, method="area"), average_pool(x), atol=1e-14)
    other = resample(x, size=(5, 7, 9), method="area")
    np.testing.assert_allclose(other.mean(axis=(2, 3, 4)), x.mean(axis=(2, 3, 4)), atol=1e-14)


@pytest.mark.parametrize(("n", "m"), [(6, 9), (9, 6), (7, 12), (12, 7), (8, 16), (16, 8)])
def test_spectral_is_exact_for_the_modes_of_both_grids(n, m):
    def field(count):
        t = 2 * np.pi * np.arange(count) / count
        return (1 + np.sin(t) - 2 * np.cos(2 * t))[None, None]

    np.testing.assert_allclose(resample(field(n), size=m, method="spectral"), field(m), atol=1e-13)


@pytest.mark.parametrize(("n", "m"), [(6, 9), (8, 16), (16, 8), (9, 6), (7, 5)])
def test_spectral_agrees_with_scipy(n, m):
    x = RNG.normal(size=(1, 2, n))
    np.testing.assert_allclose(resample(x, size=m, method="spectral"), scipy.signal.resample(x, m, axis=-1), atol=1e-13)


def test_a_highest_mode_goes_up_and_comes_back():
    x = RNG.normal(size=(1, 1, 8, 6))
    up = resample(x, size=(12, 11), method="spectral")
    np.testing.assert_allclose(resample(up, size=(8, 6), method="spectral"), x, atol=1e-13)


def test_nan_stays_with_the_cells_that_read_it():
    x = np.zeros((1, 1, 3))
    x[..., 1] = np.nan
    np.testing.assert_array_equal(
        np.isnan(resample(x, size=5, method="linear", align_corners=True)[0, 0]), [0, 1, 1, 1, 0]
    )
    np.testing.assert_array_equal(np.isnan(resample(x, factor=2)[0, 0]), [0, 0, 1, 1, 0, 0])


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "area", "adaptive", "spectral"])
def test_arrays_without_numbers_have_the_shapes(method):
    out, kept = resample.forward(shape_array((2, 4, 9, 8), "f4"), size=(4, 20), method=method)
    assert (out.shape, resample.vjp(out, kept)[0].shape) == ((2, 4, 4, 20), (2, 4, 9, 8))


def test_single_precision_stays_single():
    x = RNG.normal(size=(1, 2, 5, 4)).astype("f4")
    for method in ("nearest", "linear", "cubic", "area", "adaptive", "spectral"):
        out, kept = resample.forward(x, size=(7, 3), method=method)
        assert out.dtype == resample.vjp(out, kept)[0].dtype == "f4"


def test_misfits_are_refused_by_name():
    x = np.ones((1, 1, 5))
    with pytest.raises(InvalidValueError, match="factor=None and size=None"):
        resample(x)
    with pytest.raises(InvalidValueError, match=r"makes .2.5,. cells; expected whole cells"):
        resample(x, factor=0.5)
    with pytest.raises(InvalidValueError, match=r"factor=.*one for each of 1 axes"):
        resample(x, factor=(1, 2))
    with pytest.raises(InvalidValueError, match="size=0"):
        resample(x, size=0)
    with pytest.raises(InvalidValueError, match="align_corners with method='nearest'"):
        resample(x, factor=2, align_corners=True)
    with pytest.raises(InvalidValueError, match="method"):
        resample(x, factor=2, method="quintic")
    with pytest.raises(ShapeError, match="one to three axes"):
        resample(np.ones((1, 5)), factor=2)


@pytest.mark.peers
def test_torch_agrees():
    torch = pytest.importorskip("torch")
    x = RNG.normal(size=(2, 3, 5, 4, 6)).astype("f4")
    for options, theirs in (
        ({"method": "nearest"}, {"mode": "nearest-exact"}),
        ({"method": "linear"}, {"mode": "trilinear", "align_corners": False}),
        ({"method": "linear", "align_corners": True}, {"mode": "trilinear", "align_corners": True}),
    ):
        given = torch.tensor(x, requires_grad=True)
        expected = torch.nn.functional.interpolate(given, size=(7, 9, 3), **theirs)
        out, kept = resample.forward(x, size=(7, 9, 3), **options)
        np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-5, atol=1e-5)
        dout = RNG.normal(size=out.shape).astype("f4")
        expected.backward(torch.tensor(dout))
        np.testing.assert_allclose(resample.vjp(dout, kept)[0], given.grad.numpy(), rtol=1e-4, atol=1e-5)
    for size in ((1, 2), (3, 5), (7, 9), (12, 3)):
        plane, given = x[..., 0], torch.tensor(x[..., 0])
        for method, mode in (("adaptive", "area"), ("cubic", "bicubic")):
            expected = torch.nn.functional.interpolate(given, size=size, mode=mode).numpy()
            np.testing.assert_allclose(resample(plane, size=size, method=method), expected, rtol=1e-5, atol=2e-6)
