"""Softmax attention on one rank: the dense sum, gradients, merging, padding, precision, bad input; Linformer."""

from __future__ import annotations

import itertools
import mmap
import sys

import numpy as np
import pytest
from attention_oracle import dense, dense_vjp, seen_by
from gradients import assert_vjp
from hypothesis import given, settings
from hypothesis import strategies as st

import sci
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Op, Tape, value_of
from sci.sequence import (
    attention,
    linformer_attention,
    merge_attention,
)
from sci.sequence.attention.tiles import KeyRange, attend

METHODS = ("ring", "rsa", "ulysses")
PACKED = np.repeat([-1, 5, 2, -3, 9], [2, 7, 1, 3, 8])


def arrays(n: int, heads: int = 2, d: int = 5, count: int = 4, seed: int = 0, dtype: str = "f8") -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(count, heads, n, d)).astype(dtype))


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (47, 3), (48, 64), (127, 8), (129, 16), (300, 33)])
def test_tiles_of_any_size_give_the_dense_sum(n: int, d: int, kernels: str) -> None:
    q, k, v, dout = arrays(n, d=d)
    for causal in (False, True):
        seen = seen_by(n, causal, None)
        with sci.options(kernels=kernels):
            (out, lse), residuals = attention.forward(q, k, v, causal=causal)
            gradients = attention.vjp((dout, lse), residuals)
        expected = dense(q, k, v, d**-0.5, seen)
        assert relative(out, expected[0]) < 1e-13
        np.testing.assert_allclose(lse, expected[1], rtol=0, atol=1e-13)
        for found, want in zip(gradients, dense_vjp(q, k, v, d**-0.5, seen, dout, lse)):
            assert relative(found, want) < 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [{}, {"causal": True, "scale": 0.3}, {"segments": PACKED, "causal": True}])
def test_gradients_are_central_differences(method: str, options: dict) -> None:
    def finite_forward(q, k, v, **options):
        (out, lse), residuals = attention.forward(q, k, v, **options)
        return (out, np.where(np.isneginf(lse), 0, lse)), residuals

    assert_vjp(Op(finite_forward, attention.vjp), arrays(len(PACKED))[:3], method=method, **options)


@pytest.mark.parametrize("method", METHODS)
def test_padding_sees_nothing_and_is_not_seen(method: str) -> None:
    q, k, v, dout = arrays(len(PACKED))
    (out, lse), residuals = attention.forward(q, k, v, segments=PACKED, method=method)
    padding = PACKED < 0
    assert (out[:, padding] == 0).all()
    assert np.isneginf(lse[:, padding]).all()
    for gradient in attention.vjp((dout, None), residuals):
        assert (gradient[:, padding] == 0).all()
        assert np.isfinite(gradient).all()
    alone = attention(*(a[:, 2:9] for a in (q, k, v)))[0]
    np.testing.assert_allclose(out[:, 2:9], alone, rtol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_on_the_tape(method: str) -> None:
    q, k, v, dout = arrays(9)
    variables = Tape().watch([q, k, v])
    out, _ = attention(*variables, causal=True, method=method)
    out.backward(dout)
    np.testing.assert_array_equal(value_of(out), attention(q, k, v, causal=True, method=method)[0])
    for variable, want in zip(variables, dense_vjp(q, k, v, 5**-0.5, seen_by(9, True, None), dout, np.zeros((2, 9)))):
        np.testing.assert_allclose(variable.gradient, want, rtol=1e-11, atol=1e-13)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 11), max_size=4), st.sampled_from([1.0, 1e4]))
def test_merging_any_parts_gives_the_whole(seed: int, cuts: list[int], size: float) -> None:
    q, k, v = arrays(11, count=3, seed=seed)
    whole = dense(q, k, v, size, seen_by(11, False, None))
    out, lse = np.zeros_like(q), np.full(q.shape[:2], -np.inf)
    bounds = [0, *sorted(cuts), 11]
    for a, b in itertools.pairwise(bounds):
        part = np.zeros_like(q), np.full(q.shape[:2], -np.inf)
        if b > a:
            part = dense(q, k[:, a:b], v[:, a:b], size, np.ones((11, b - a), bool))[:2]
        out, lse = merge_attention(out, lse, *part)
    np.testing.assert_allclose(out, whole[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(lse, whole[1], rtol=1e-13)


def test_merging_what_would_overflow() -> None:
    """exp(1e4) is not a number; neither is the difference of two empty parts."""
    one, two = np.ones((1, 4, 2)), np.full((1, 4, 2), 3.0)
    out, lse = merge_attention(one, np.array([[1e4, -1e4, -np.inf, -np.inf]]), two, np.array([[-1e4, 1e4, 5, -np.inf]]))
    np.testing.assert_array_equal(out[0, :3, 0], [1, 3, 3])
    np.testing.assert_array_equal(lse, [[1e4, 1e4, 5, -np.inf]])
    assert np.isfinite(out).all()


def test_wider_sums_for_narrow_numbers() -> None:
    """Half precision is rounded once, at the end; single precision can be summed in double."""
    n = 700
    seen = seen_by(n, True, None)
    for dtype, precision, limit in (("f2", None, 5e-4), ("f4", None, 2e-6), ("f4", "float64", 1e-7)):
        q, k, v, dout = arrays(n, heads=1, d=16, dtype=dtype)
        wide = [a.astype("f8") for a in (q, k, v)]
        (out, lse), residuals = attention.forward(q, k, v, causal=True, precision=precision)
        assert out.dtype == np.dtype(dtype)
        assert lse.dtype == np.dtype(precision or "float32")
        assert relative(out, dense(*wide, 0.25, seen)[0]) < limit
        expected = dense_vjp(*wide, 0.25, seen, dout.astype("f8"), np.zeros((1, n)))
        for found, want in zip(attention.vjp((dout, None), residuals), expected):
            assert found.dtype == np.dtype(dtype)
            assert relative(found, want) < limit


def test_large_and_overflowing_scores() -> None:
    q, k, v, _ = arrays(20)
    for dtype, size in (("f4", 1e2), ("f8", 1e3)):
        out, lse = attention(*(a.astype(dtype) for a in (size * q, size * k, v)))
        assert np.isfinite(out).all()
        assert np.abs(lse).max() > 1e4
    with pytest.raises(InvalidValueError, match="scores overflow"):
        attention((1e30 * q).astype("f4"), (1e30 * k).astype("f4"), v.astype("f4"))


def test_bad_input_is_named() -> None:
    q, k, v, dout = arrays(6)
    bad = q.copy()
    bad[1, 2, 3] = np.inf
    for error, says, call in (
        (InvalidValueError, r"q holds 1 values .* \(1, 2, 3\)", lambda: attention(bad, k, v)),
        (InvalidValueError, "method is 'star'", lambda: attention(q, k, v, method="star")),
        (InvalidValueError, "layout is 'spiral'", lambda: attention(q, k, v, layout="spiral")),
        (InvalidValueError, "scale is nan", lambda: attention(q, k, v, scale=float("nan"))),
        (InvalidValueError, "comes back", lambda: attention(q, k, v, segments=np.array([0, 0, 1, 1, 0, 0]))),
        (ShapeError, "segments has", lambda: attention(q, k, v, segments=np.zeros(5, int))),
        (ShapeError, "length is 7", lambda: attention(q, k, v, length=7)),
        (ShapeError, "expected one shape", lambda: attention(q, k[:, 1:], v)),
        (ShapeError, "with leading axes", lambda: attention(q[0], k[0], v[0])),
        (ShapeError, "head_dim is 300", lambda: attention(*[np.zeros((1, 1, 300))] * 3)),
        (DTypeError, "complex128", lambda: attention(q + 0j, k, v)),
        (ShapeError, "dlse has shape", lambda: attention.vjp((dout, dout), attention.forward(q, k, v)[1])),
        (ShapeError, r"expected \(rows, 6\)", lambda: linformer_attention(q, k, v, np.ones((3, 5)), np.ones((3, 5)))),
        (DTypeError, "e has dtype float32", lambda: linformer_attention(q, k, v, *np.ones((2, 3, 6), "f4"))),
    ):
        with pytest.raises(error, match=says):
            call()


def test_empty_sequences_and_batches() -> None:
    for shape in ((2, 0, 4), (0, 3, 4), (3, 0, 2, 4)):
        for method in METHODS:
            (out, lse), residuals = attention.forward(*[np.zeros(shape)] * 3, method=method)
            assert (out.shape, lse.shape) == (shape, shape[:-1])
            assert all(g.shape == shape for g in attention.vjp((out, lse), residuals))


@pytest.mark.skipif(sys.platform != "linux", reason="needs memory without reserve")
def test_keys_beyond_2_to_31_elements() -> None:
    """The last keys lie beyond 2^31 elements, in memory that is not there; the tiles before them are skipped."""
    m, d = 2**25 + 5, 64

    def sparse(*shape: int, dtype: type) -> np.ndarray:
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            memory = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
        except OSError as error:
            pytest.skip(f"no address space: {error}")
        return np.frombuffer(memory, dtype).reshape(shape)

    k, v, positions = sparse(1, m, d, dtype=np.float32), sparse(1, m, d, dtype=np.float32), sparse(m, dtype=np.int64)
    assert k.size > 2**31
    v[0, -1], positions[-1] = np.arange(d), 7
    out, lse = np.zeros((1, 3, d), np.float32), np.full((1, 3), -np.inf, np.float32)
    seven = np.full(3, 7)
    attend(np.ones((1, 3, d), np.float32), k, v, KeyRange(seven, seven), positions, out, lse)
    np.testing.assert_array_equal(out[0], [np.arange(d)] * 3)
    np.testing.assert_array_equal(lse, 0)


@pytest.mark.parametrize(
    ("dtype", "precision", "rounding"), [("f2", None, 6e-4), ("f4", None, 5e-6), ("f4", "float64", 1e-7)]
)
def test_linformer_sums_in_wider_numbers(dtype: str, precision: str | None, rounding: float) -> None:
    """Sums over 3,000 tokens, with gradients, against float64."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 3000, 4)).astype(dtype) for _ in range(3)]
    arrays += [rng.uniform(0, 1e-3, (5, 3000)).astype(dtype) for _ in range(2)]
    dout = rng.normal(size=(2, 3000, 4)).astype(dtype)
    results = []
    for inputs, option in ((arrays, precision), ([a.astype("f8") for a in arrays], None)):
        out, residuals = linformer_attention.forward(*inputs, precision=option)
        results.append((out, *linformer_attention.vjp(dout, residuals)))
    for found, want in zip(*results):
        assert found.dtype == np.dtype(dtype)
        assert np.abs(found - want).max() <= rounding * np.abs(want).max()
    if dtype == "f2":
        with pytest.raises(InvalidValueError, match="exceeds the range of float16"):
            linformer_attention(*(1e4 * a for a in arrays[:3]), *(1e3 * a for a in arrays[3:]))


def test_linformer() -> None:
    q, k, v, _ = arrays(12)
    e, f = np.random.default_rng(3).normal(size=(2, 4, 12))
    expected = dense(q, e @ k, f @ v, 5**-0.5, np.ones((12, 4), bool))[0]
    np.testing.assert_allclose(linformer_attention(q, k, v, e, f), expected, rtol=1e-12)
    assert_vjp(linformer_attention, [q, k, v, e, f], scale=0.7)
    variable = Tape().watch(e)
    out = linformer_attention(q, k, v, variable, f)
    out.backward(np.ones_like(q))
    assert variable.gradient.shape == e.shape


@pytest.mark.peers
def test_torch_agrees() -> None:
    torch = pytest.importorskip("torch")
    q, k, v, dout = arrays(200, heads=3, d=16)
    theirs = [torch.tensor(a[None], requires_grad=True) for a in (q, k, v)]
    result = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=True)
    result.backward(torch.tensor(dout[None]))
    (out, _), residuals = attention.forward(q, k, v, causal=True)
    np.testing.assert_allclose(out, result[0].detach().numpy(), rtol=0, atol=1e-13)
    for ours, their in zip(attention.vjp((dout, None), residuals), theirs):
        np.testing.assert_allclose(ours, their.grad[0].numpy(), rtol=0, atol=1e-12)
