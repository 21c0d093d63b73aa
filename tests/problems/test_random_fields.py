"""Random fields against the variances of their series, other resolutions, and stored values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sci.errors import SciError
from sci.problems import (
    cosine_random_field,
    interpolated_random_field,
    multiscale_random_fields,
    neumann_random_field,
    periodic_random_field,
    sample_generator,
)


def test_neumann_field_has_the_variance_of_its_series() -> None:
    """Point variances average to the sum of the eigenvalues, and the cosine coefficients are uncorrelated."""
    size, alpha, tau = 8, 2.0, 3.0
    fields = np.array([neumann_random_field(size, sample_generator(1, i), alpha=alpha, tau=tau) for i in range(1000)])
    k = np.arange(size)
    root = tau ** (alpha - 1) * (np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2) ** (-alpha / 2)
    root[0, 0] = 0.0
    assert np.mean(fields**2) == pytest.approx(np.sum(root**2), rel=0.08)
    x = (np.arange(size) + 0.5) / size
    first = 2 * np.cos(np.pi * x)[:, None] * np.cos(np.pi * x) / size**2  # orthonormal cosine (1, 1) as a quadrature
    assert np.std(np.sum(fields * first, axis=(1, 2))) == pytest.approx(root[1, 1], rel=0.08)


def test_periodic_field_has_the_variance_of_its_series() -> None:
    size, alpha, tau = 8, 2.5, 7.0
    fields = np.array([periodic_random_field(size, sample_generator(2, i), alpha=alpha, tau=tau) for i in range(1000)])
    k = np.fft.fftfreq(size, 1 / size)
    root = np.sqrt(2) * tau ** (alpha - 1) * (4 * np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2) ** (-alpha / 2)
    root[0, 0] = 0.0
    assert np.mean(fields**2) == pytest.approx(np.sum(root**2), rel=0.08)
    assert abs(fields.mean(axis=(1, 2))).max() < 1e-12


def test_a_cosine_field_is_one_function_at_every_resolution() -> None:
    coarse, fine = (cosine_random_field((n, n, n), np.random.default_rng(1)) for n in (6, 18))
    np.testing.assert_allclose(fine[1::3, 1::3, 1::3], coarse, rtol=0, atol=1e-12)
    k = np.arange(5)
    amplitudes = 1 / (1 + k[:, None] ** 2 + k**2)
    fields = [cosine_random_field((16, 16), np.random.default_rng(i), n_waves=4) for i in range(500)]
    weight = np.where(k == 0, 1, 0.5)
    assert np.mean(np.square(fields)) == pytest.approx((amplitudes * weight[:, None] * weight).sum(), rel=0.1)


def test_an_interpolated_field_meets_its_knots() -> None:
    knots = np.random.default_rng(4).normal(size=(4, 4, 4))
    field = interpolated_random_field(10, np.random.default_rng(4), knots=4)
    np.testing.assert_allclose(field[::3, ::3, ::3], knots, rtol=0, atol=1e-14)
    assert field.min() >= knots.min() - 1e-14
    assert field.max() <= knots.max() + 1e-14


def test_multiscale_fields_have_parts_of_every_width() -> None:
    fields = multiscale_random_fields(16, 60, np.random.default_rng(0), np.float64)
    power = np.abs(np.fft.fft(fields, axis=1, norm="ortho")) ** 2
    power /= power.sum(axis=(1, 2, 3), keepdims=True)
    spectrum = power.sum(axis=(2, 3)).mean(axis=0)
    assert spectrum[:2].sum() > 0.3  # wide parts
    assert spectrum[6:9].sum() > 0.01  # the cells' own
    single = multiscale_random_fields(9, 2, np.random.default_rng(0))
    assert (single.shape, single.dtype) == ((2, 9, 9, 9), np.float32)


STORED = [-0.10252156090727846, 0.08843440405266745, 2.116617443014636, 0.42953136227170957, 1.3967383619641707]


def test_seeds_give_the_fields_of_stored_sets() -> None:
    """First numbers of each generator: published seeds, trained models and golden masks stand on them."""
    found = [
        neumann_random_field(8, sample_generator(1, 2))[0, 0],
        periodic_random_field(8, sample_generator(1, 2))[0, 0],
        cosine_random_field((4, 5, 6), np.random.default_rng(19))[0, 0, 0],
        interpolated_random_field(8, np.random.default_rng(2), knots=4)[3, 3, 3],
        multiscale_random_fields(8, 1, np.random.default_rng(2), np.float64)[0, 3, 3, 3],
    ]
    np.testing.assert_allclose(found, STORED, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: neumann_random_field(1, np.random.default_rng()), "size is 1"),
        (lambda: periodic_random_field(8, np.random.default_rng(), tau=0.0), "tau is 0"),
        (lambda: cosine_random_field((), np.random.default_rng()), "shape"),
        (lambda: interpolated_random_field(8, np.random.default_rng(), knots=1), "knots is 1"),
        (lambda: multiscale_random_fields(1, 1, np.random.default_rng()), "size is 1"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], text: str) -> None:
    with pytest.raises(SciError, match=text):
        call()
