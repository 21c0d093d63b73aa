"""Tensor attention on one rank: the dense sum, gradients, the polynomial's degree, its errors and its refusal."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from tensor_oracle import tensor_dense

import sci
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Tape
from sci.sequence import (
    polynomial_degree,
    polynomial_rank,
    tensor_attention,
)
from sci.sequence.higher_order import polynomial as tensor_polynomial


def arrays(lengths: tuple[int, int, int], d: int, size: float = 1.0, seed: int = 0) -> list[np.ndarray]:
    """q, k1, k2, v1, v2, dout."""
    rng = np.random.default_rng(seed)
    n, n1, n2 = lengths
    return [*(rng.uniform(-size, size, (m, d)) for m in (n, n1, n2)), *(rng.normal(size=(m, d)) for m in (n1, n2, n))]


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("lengths", [(1, 1, 1), (5, 7, 9), (20, 130, 50), (3, 1, 200)])
def test_exact_is_the_dense_sum(lengths: tuple[int, int, int], kernels: str) -> None:
    *given, dout = arrays(lengths, 4, size=2.0)
    expected, gradients = tensor_dense(*given, 0.25, dout)
    with sci.options(kernels=kernels):
        out, residuals = tensor_attention.forward(*given)
        found = tensor_attention.vjp(dout, residuals)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13)
    for one, want in zip(found, gradients):
        np.testing.assert_allclose(one, want, rtol=0, atol=1e-12 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("options", [{}, {"scale": 0.7}, {"method": "polynomial", "tol": 0.05}])
def test_gradients_are_central_differences(options: dict) -> None:
    given = [np.stack([a, -a]) for a in arrays((9, 10, 11), 2, size=0.4)[:5]]
    options = {**options, "bound": 0.5} if "method" in options else options
    assert_vjp(tensor_attention, given, **options)


def test_a_pair_on_the_tape() -> None:
    *given, dout = arrays((4, 5, 6), 3)
    variables = Tape().watch(list(given))
    tensor_attention(*variables).backward(dout)
    for variable, want in zip(variables, tensor_dense(*given, 1 / 3, dout)[1]):
        np.testing.assert_allclose(variable.gradient, want, rtol=1e-10, atol=1e-14)


def test_degrees_and_ranks_are_those_of_the_rule() -> None:
    """The table of the method's description, for 1e-3 and 1e-6."""
    radii = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    assert [polynomial_degree(r, 1e-3) for r in radii] == [2, 3, 5, 7, 12, 21]
    assert [polynomial_degree(r, 1e-6) for r in radii] == [4, 6, 7, 10, 15, 24]
    assert [polynomial_rank(4, g) for g in (2, 3, 5, 7, 12, 21)] == [15, 35, 126, 330, 1820, 12650]


@pytest.mark.parametrize("size", [0.3, 0.9])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-7])
def test_the_error_stays_below_the_tolerance(size: float, tol: float) -> None:
    *given, dout = arrays((60, 61, 62), 2, size)
    expected, gradients = tensor_dense(*given, 0.5, dout)
    out, residuals = tensor_attention.forward(*given, method="polynomial", tol=tol, bound=size)
    largest = np.abs(given[3]).max() * np.abs(given[4]).max()
    assert np.abs(out - expected).max() <= 2 * tol / (1 - tol) * largest + 1e-13
    for found, want in zip(tensor_attention.vjp(dout, residuals), gradients):
        assert np.abs(found - want).max() <= 50 * tol * np.abs(want).max() + 1e-12


def test_norms_of_rows_bound_scores_closer_than_entries() -> None:
    """One large entry a row, never in the same place as another's: entries allow scores of 2, norms of 1 at most."""
    rng = np.random.default_rng(4)
    given = [rng.uniform(-0.1, 0.1, (150, 2)) for _ in range(3)] + [rng.normal(size=(150, 2)) for _ in range(2)]
    for a in given[:3]:
        a[np.arange(150), rng.integers(0, 2, 150)] = 1.0
    expected = tensor_dense(*given, 1.0, np.zeros((150, 2)))[0]
    kept = {}
    for bound in (None, 1.0):
        out, residuals = tensor_attention.forward(*given, method="polynomial", tol=1e-4, scale=1.0, bound=bound)
        assert np.abs(out - expected).max() <= 2.1e-4 * np.abs(given[3]).max() * np.abs(given[4]).max()
        kept[bound] = residuals.method
    assert kept[1.0].radius == pytest.approx(2.0)
    assert 1.0 < kept[None].radius < 1.01
    assert kept[None].degree < kept[1.0].degree


def test_a_useless_or_wrong_polynomial_is_refused() -> None:
    given = arrays((30, 30, 30), 4)[:5]
    for says, factor, options in (
        ("beyond bound=0.5", 1.0, {"bound": 0.5}),
        ("dearer than method='exact'", 1.0, {"tol": 1e-9}),
        ("rounding errors above tol", 3.0, {"tol": 1e-3}),
        ("rounding errors above tol", 1e3, {"tol": 1e-3}),
        ("0 < tol < 1", 1.0, {"tol": 2.0}),
    ):
        with pytest.raises(InvalidValueError, match=says):
            tensor_attention(*(factor * a for a in given), method="polynomial", **options)


def test_single_precision_and_bad_input() -> None:
    given = arrays((6, 7, 8), 3)[:5]
    single = [a.astype("f4") for a in given]
    for method in ("exact", "polynomial"):
        out = tensor_attention(*single, method=method, tol=0.3)
        assert out.dtype == np.float32
    np.testing.assert_allclose(tensor_attention(*single), tensor_attention(*given), rtol=0, atol=3e-6)
    half = [a.astype("f2") for a in given]
    with pytest.raises(InvalidValueError, match="exceeds the range of float16"):
        tensor_attention(*half[:3], *(1e4 + half[i] for i in (3, 4)))
    q, k1, k2, v1, v2 = given
    for error, says, call in (
        (ShapeError, "pairs of one shape", lambda: tensor_attention(q, k1, k2, v2, v1)),
        (ShapeError, "the same d", lambda: tensor_attention(q[:, :2], k1, k2, v1, v2)),
        (ShapeError, "no keys", lambda: tensor_attention(q, k1[:0], k2, v1[:0], v2)),
        (DTypeError, "q has dtype int64", lambda: tensor_attention(q.astype(int), k1, k2, v1, v2)),
        (InvalidValueError, "method is 'magic'", lambda: tensor_attention(*given, method="magic")),
        (InvalidValueError, "v2 holds", lambda: tensor_attention(q, k1, k2, v1, np.nan * v2)),
        (InvalidValueError, "scores overflow", lambda: tensor_attention(*(1e200 * a for a in given))),
        (ShapeError, "dout has shape", lambda: tensor_attention.vjp(k1, tensor_attention.forward(*given)[1])),
    ):
        with pytest.raises(error, match=says):
            call()


@pytest.mark.parametrize("options", [{}, {"precision": "float64"}, {"method": "polynomial", "tol": 1e-6}])
def test_half_precision_is_summed_in_wider_numbers(options: dict) -> None:
    """Rounding of the result alone: 2^-11; sums of 90 * 80 pairs in half precision would err by more."""
    half = [a.astype("f2") for a in arrays((30, 90, 80), 2, 0.5)]
    *given, dout = (a.astype("f8") for a in half)
    expected, gradients = tensor_dense(*given, 0.5, dout)
    out, residuals = tensor_attention.forward(*half[:5], **options)
    for found, want in zip((out, *tensor_attention.vjp(half[5], residuals)), (expected, *gradients)):
        assert found.dtype == np.float16
        assert np.abs(found - want).max() <= 6e-4 * np.abs(want).max()


def test_scratch_is_a_tile_and_not_a_square() -> None:
    """Memory of the exact method grows with the length; n^2 weights of 8 bytes would be 128 MB."""
    import tracemalloc

    given = arrays((10, 4000, 4000), 2)[:5]
    tracemalloc.start()
    tensor_attention(*given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6


def test_blocks_of_tokens_do_not_change_the_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    *given, dout = arrays((100, 33, 65), 3, 0.5)
    out, residuals = tensor_attention.forward(*given, method="polynomial", tol=1e-3)
    gradients = tensor_attention.vjp(dout, residuals)
    monkeypatch.setattr(tensor_polynomial, "_SCRATCH", 1)
    again, residuals = tensor_attention.forward(*given, method="polynomial", tol=1e-3)
    np.testing.assert_allclose(again, out, rtol=1e-13)
    for found, want in zip(tensor_attention.vjp(dout, residuals), gradients):
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-13 * np.abs(want).max())
