"""The quantizer against a loop, its identities, and its errors."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression import MultiScaleVQ
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import convolve

SIZES = [((1,), (2,), (3,), (5,)), ((1, 1), (2, 3), (4, 6)), ((1, 1, 1), (2, 1, 2), (2, 2, 4), (2, 2, 4))]


def rng():
    return np.random.default_rng(3)


def pooled(x, sizes):
    """Means over integer bins, cell by cell."""
    out = np.empty((*x.shape[:2], *sizes))
    for cell in np.ndindex(*sizes):
        bins = tuple(slice(i * n // p, -(-(i + 1) * n // p)) for i, n, p in zip(cell, x.shape[2:], sizes))
        out[(..., *cell)] = x[(..., *bins)].mean(axis=tuple(range(2, x.ndim)))
    return out


def cubic_matrix(n, m, a=-0.75):
    far = np.arange(-8, n + 8)
    d = np.abs((np.arange(m)[:, None] + 0.5) * n / m - 0.5 - far)
    weights = np.where(d <= 1, (a + 2) * d**3 - (a + 3) * d**2 + 1, a * (d**3 - 5 * d**2 + 8 * d - 4)) * (d < 2)
    out = np.zeros((m, n))
    np.add.at(out, (slice(None), np.clip(far, 0, n - 1)), weights)
    return out


def lifted(x, sizes):
    for axis, m in enumerate(sizes, 2):
        x = np.moveaxis(np.tensordot(cubic_matrix(x.shape[axis], m), x, axes=(1, axis)), 0, axis)
    return x


@pytest.mark.parametrize("scales", SIZES)
@pytest.mark.parametrize("own", [False, True])
def test_codes_are_those_of_a_plain_loop(scales, own):
    axes, r = len(scales[0]), rng()
    patch = (1, 2, 1)[:axes]
    c = 2 * int(np.prod(patch))
    codebook = r.normal(size=(len(scales), 7, c) if own else (7, c))
    quantizer = MultiScaleVQ(codebook, scales, patch)
    fields = r.normal(size=(3, 2, *(n * p for n, p in zip(scales[-1], patch))))
    codes = quantizer.encode(fields)
    rest = latent = quantizer.latent(fields)
    total = np.zeros_like(rest)
    for k, size in enumerate(scales):
        book = codebook[k] if own else codebook
        distances = ((np.moveaxis(pooled(rest, size), 1, -1)[..., None, :] - book) ** 2).sum(axis=-1)
        np.testing.assert_array_equal(codes[k], distances.argmin(axis=-1))
        u = lifted(np.moveaxis(book[codes[k]], -1, 1), scales[-1])
        rest, total = rest - u, total + u
        np.testing.assert_allclose(quantizer.reconstructions(codes)[k], quantizer.fields(total), atol=1e-14)
        if k + 1 < len(scales):
            np.testing.assert_allclose(quantizer.next_inputs(codes)[k], pooled(total, scales[k + 1]), atol=1e-14)
    np.testing.assert_allclose(quantizer.decode(codes), quantizer.fields(total), atol=1e-14)
    assert len(quantizer.next_inputs(codes[:1])) == 1
    found = quantizer.relative_errors(fields, codes)
    np.testing.assert_allclose(found[-1], np.linalg.norm(rest) / np.linalg.norm(latent), rtol=1e-12)


def smoothed(axes=2, n=4):
    r, c = rng(), 3
    return MultiScaleVQ(
        r.normal(size=(8, c)),
        [(1,) * axes, (2,) * axes, (3,) * axes, (4,) * axes],
        smoothing=(0.2 * r.normal(size=(n, c, c, *(3,) * axes)), 0.1 * r.normal(size=(n, c))),
    )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_sum_and_the_rest_are_the_field(dtype):
    quantizer = smoothed()
    quantizer = MultiScaleVQ(quantizer.codebook.astype(dtype), quantizer.scales, (), quantizer.smoothing)
    f = rng().normal(size=(5, 3, 4, 4)).astype(dtype)
    rests = [rest for _, _, rest in quantizer.stages(f)]
    sums = quantizer.reconstructions(quantizer.encode(f))
    for rest, total in zip(rests, sums):
        assert rest.dtype == total.dtype == dtype
        assert np.abs(total + rest - f).max() <= 8 * np.finfo(dtype).eps * np.abs(f).max()
    errors = quantizer.relative_errors(f, quantizer.encode(f))
    expected = [np.linalg.norm(rest) / np.linalg.norm(f) for rest in rests]
    np.testing.assert_allclose(errors, expected, rtol=1e-5)


def test_smoothing_is_half_the_convolution():
    quantizer = smoothed()
    codes = rng().integers(0, 8, size=(2, 2, 2))
    bare = MultiScaleVQ(quantizer.codebook, quantizer.scales).lift(codes, 1)
    weights, biases = quantizer.smoothing
    # scale 1 of 4 lies at 1/3, and the second of four ticks at 13/36
    np.testing.assert_allclose(quantizer.lift(codes, 1), bare / 2 + convolve(bare, weights[1], biases[1]) / 2)


def test_fields_on_the_lattice_of_codes_come_back_exactly():
    codebook = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, -8.0], [1.0, 1.0], [-1.0, 2.0]])
    quantizer = MultiScaleVQ(codebook, [(4, 3), (4, 3)], (2, 1))
    codes = (rng().integers(0, 3, size=(6, 4, 3)), rng().choice([0, 3, 4], size=(6, 4, 3)))
    fields = quantizer.decode(codes)
    assert fields.shape == (6, 1, 8, 3)
    found = quantizer.encode(fields)
    np.testing.assert_array_equal(quantizer.decode(found), fields)
    assert all(np.array_equal(a, b) for a, b in zip(found, codes))
    assert quantizer.relative_errors(fields, found)[-1] == 0


def test_a_step_by_step_sum_gives_the_next_inputs():
    quantizer = smoothed(axes=1)
    codes = quantizer.encode(rng().normal(size=(2, 3, 4)))
    total = 0
    for k, expected in enumerate(quantizer.next_inputs(codes)):
        total = total + quantizer.lift(codes[k], k)
        np.testing.assert_array_equal(quantizer.next_input(total, k + 1), expected)


def test_codes_join_and_split():
    quantizer = smoothed()
    codes = quantizer.encode(rng().normal(size=(2, 3, 4, 4)))
    joined = quantizer.join(codes)
    assert joined.shape == (2, quantizer.n_codes) == (2, 30)
    assert all(np.array_equal(a, b) for a, b in zip(quantizer.split(joined), codes))
    with pytest.raises(ShapeError, match=r"expected \(batch, 30\)"):
        quantizer.split(joined[:, 1:])


def test_rates():
    quantizer = MultiScaleVQ(np.zeros((256, 16)), [(32, 32)] * 2, (4, 4))
    assert (quantizer.bits, quantizer.n_codes, quantizer.ratio) == (8, 2048, 32.0)
    assert quantizer.with_grid((64, 64)).ratio == 32.0
    assert quantizer.with_grid((64, 64)).fingerprint == quantizer.fingerprint
    assert (quantizer.grid, quantizer.channels) == ((128, 128), 1)


def test_the_fingerprint_is_that_of_codebook_smoothing_and_patch():
    a = smoothed()
    other = a.codebook.copy()
    other[0, 0] = np.nextafter(other[0, 0], 9)
    quantizers = [a, MultiScaleVQ(other, a.scales, (), a.smoothing), MultiScaleVQ(a.codebook, a.scales)]
    quantizers.append(MultiScaleVQ(a.codebook, a.scales, (3, 1)))
    assert len({q.fingerprint for q in quantizers}) == 4


def test_the_state_comes_back():
    for quantizer in (smoothed(), MultiScaleVQ(np.ones((2, 3, 4), np.float32), [(1,), (2,)], (2,))):
        found = MultiScaleVQ.from_state(quantizer.to_state())
        assert found.fingerprint == quantizer.fingerprint
        assert found.scales == quantizer.scales
    with pytest.raises(InvalidValueError, match="expected that of a MultiScaleVQ"):
        MultiScaleVQ.from_state(smoothed().to_state().__class__("FNO", {}, {"codebook": np.ones((2, 2))}))


def test_misfits_are_refused_by_name():
    quantizer = MultiScaleVQ(np.eye(4), [(1, 1), (4, 4)], (2, 2))
    with pytest.raises(ShapeError, match="smaller than the patch"):
        quantizer.encode(np.zeros((1, 1, 8, 1)))
    with pytest.raises(ShapeError, match="no multiple of the patch"):
        quantizer.encode(np.zeros((1, 1, 8, 7)))
    with pytest.raises(ShapeError, match="with_grid"):
        quantizer.encode(np.zeros((1, 1, 8, 6)))
    with pytest.raises(InvalidValueError, match="fields"):
        quantizer.encode(np.full((1, 1, 8, 8), np.nan))
    with pytest.raises(ShapeError, match="codes of 3 scales"):
        quantizer.decode([np.zeros((1, 1, 1), int)] * 3)
    with pytest.raises(ShapeError, match="as many at each"):
        quantizer.decode([np.zeros((1, 1, 1), int), np.zeros((2, 4, 4), int)])
    with pytest.raises(InvalidValueError, match="scale 2 of 2"):
        quantizer.lift(np.zeros((1, 4, 4), int), 2)
    with pytest.raises(ShapeError, match="expected the codes of these fields"):
        quantizer.relative_errors(np.zeros((2, 1, 8, 8)), quantizer.encode(np.ones((1, 1, 8, 8))))
    with pytest.raises(DTypeError, match="int64; expected float32 or float64"):
        MultiScaleVQ(np.ones((2, 2), int), [(1,)])
    with pytest.raises(InvalidValueError, match="NaN"):
        MultiScaleVQ(np.full((2, 2), np.nan), [(1,)])
    with pytest.raises(ShapeError, match="no convolution"):
        MultiScaleVQ(np.ones((2, 2)), [(1,)], smoothing=(np.zeros((0, 2, 2, 3)), np.zeros((0, 2))))


def test_zeros_have_no_error_and_no_fields_no_codes():
    quantizer = MultiScaleVQ(np.array([[0.0], [1.0]]), [(2,)])
    assert quantizer.relative_errors(np.zeros((1, 1, 2)), quantizer.encode(np.zeros((1, 1, 2))))[-1] == 0
    assert quantizer.decode(quantizer.encode(np.zeros((0, 1, 2)))).shape == (0, 1, 2)
