"""FFTs of one axis against the products with matrices, the choice between the two, and its memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from sci.operators import SpectralConv
from sci.operators.spectral import transform as module
from sci.operators.spectral.fast import product_is_faster
from sci.operators.spectral.modes import kept_modes
from sci.operators.spectral.transform import synthesize, transform

SINGLE, DOUBLE = np.zeros(1, np.float32), np.zeros(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("grid", "n_modes"), [((16,), (5,)), ((15,), (15,)), ((8,), (8,)), ((9, 8), (4, 16)), ((5, 6, 7), (5, 3, 6))]
)
def test_both_ways_give_one_transform(monkeypatch, dtype, grid, n_modes):
    rng, kept, found = np.random.default_rng(0), kept_modes(n_modes, grid), []
    x = rng.normal(size=(2, 3, *grid)).astype(dtype)
    y = rng.normal(size=(2, 3, *kept, 2)).astype(dtype)
    y = y.view(np.result_type(dtype, np.complex64))[..., 0]
    for product in (True, False):
        monkeypatch.setattr(module, "product_is_faster", lambda *_, product=product, **__: product)
        found.append((transform(x, kept), synthesize(y, grid)))
    for a, b in zip(*found):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=0, atol=20 * np.finfo(dtype).eps * np.abs(a).max())


@pytest.mark.parametrize(
    ("n", "modes", "rows", "like", "product"),
    [
        (64, 9, 8192, SINGLE, True),
        (64, 33, 8192, SINGLE, False),
        (1024, 16, 512, SINGLE, True),
        (1024, 64, 512, SINGLE, False),
        (1024, 24, 512, DOUBLE, False),
        (65536, 24, 256, SINGLE, True),
        (65536, 24, 8, SINGLE, False),
        (65536, 1025, 256, SINGLE, False),
        (1021, 128, 513, SINGLE, True),  # a prime: its FFT costs six times as much
        (1021, 256, 513, SINGLE, False),
    ],
)
def test_the_choice_is_that_of_the_measurements(n, modes, rows, like, product):
    """One core of an AMD EPYC, the time of a product over that of an FFT: no ratio here is between 0.85 and 1.15."""
    assert product_is_faster(n, modes, rows, like=like) == product


def test_long_lines_make_no_long_matrices():
    """65,536 points and 1024 modes: the matrices alone would take 540 MB, and three times that while they are made."""
    layer = SpectralConv.create(1, 1, (1024,))
    x = np.random.default_rng(0).normal(size=(2, 1, 65536)).astype(np.float32)
    tracemalloc.start()
    y = layer(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert y.shape == x.shape
    assert peak < 20 * x.nbytes
