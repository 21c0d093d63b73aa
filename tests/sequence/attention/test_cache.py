"""Attention block by block from kept keys and values: that of the whole sequence."""

from __future__ import annotations

import numpy as np
import pytest
from attention_oracle import attention_arrays, dense, seen_by

import sci
from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError
from sci.sequence import KeyValueCache, merge_attention, softmax_attention


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("blocks", [(5,), (1, 4, 9), (1,) * 6, (130, 1, 200)])
def test_blocks_see_what_was_kept(blocks: tuple[int, ...], kernels: str) -> None:
    n, ends = sum(blocks), np.cumsum(blocks)
    q, k, v = (a.reshape(2, 3, n, 5) for a in attention_arrays(n, heads=6, count=3))
    out, _, _ = dense(q, k, v, 0.7, seen_by(n, False, None, blocks))
    cache, found = KeyValueCache(), []
    with sci.options(kernels=kernels):
        for start, end in zip(ends - blocks, ends):
            found.append(cache.attend(*(a[:, :, start:end] for a in (q, k, v)), scale=0.7))
    np.testing.assert_allclose(np.concatenate(found, axis=2), out, rtol=0, atol=1e-13)
    assert repr(cache) == f"KeyValueCache({len(blocks)} blocks, {n} tokens)"


def test_nothing_is_changed_and_kept_arrays_are_the_callers_no_more() -> None:
    q, k, v = attention_arrays(4, count=3)
    before = [a.copy() for a in (q, k, v)]
    cache = KeyValueCache()
    first = cache.attend(q[:, :1], k[:, :1], v[:, :1], scale=1.0)
    np.testing.assert_array_equal(first, v[:, :1])
    for given, kept in zip((q, k, v), before):
        np.testing.assert_array_equal(given, kept)
    cache, found, block = KeyValueCache(causal=True), [], np.empty((3, 2, 1, 5))
    for i in range(4):  # all tokens through one buffer
        block[:] = np.stack((q, k, v))[:, :, i : i + 1]
        found.append(cache.attend(*block, scale=1.0))
    whole, _ = softmax_attention(q, k, v, causal=True, scale=1.0)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, rtol=0, atol=1e-14)


def test_sinks_do_not_keep_what_lies_before_the_window() -> None:
    cache, one = KeyValueCache(causal=True, window=(8, 0), sink_tokens=2), np.ones((1, 1, 4))
    cache.attend(*[np.ones((1, 300, 4))] * 3, scale=1.0)
    for _ in range(40):
        cache.attend(one, one, one, scale=1.0)
        assert cache.nbytes <= 4 * (8 + 2) * 2 * one.nbytes
    cache.attend(*[one[:, :0]] * 3, scale=1.0)


@pytest.mark.parametrize(
    ("error", "says", "change"),
    [
        (InvalidValueError, "k holds 8 values", {"k": np.full((2, 1, 4), np.nan)}),
        (InvalidValueError, "scale is nan", {"scale": np.nan}),
        (ShapeError, "q has 3 tokens, k and v 1", {"q": np.ones((2, 3, 4))}),
        (ShapeError, "a number of heads that divides", {"q": np.ones((3, 1, 4))}),
        (ShapeError, "those before have", {"v": np.ones((2, 1, 5))}),
        (ShapeError, "those before have", dict.fromkeys("qkv", np.ones((2, 1, 4), "f2"))),
        (DTypeError, "expected float16, bfloat16", dict.fromkeys("qkv", np.ones((2, 1, 4), "i4"))),
    ],
)
def test_bad_blocks_are_named_and_not_kept(error: type[SciError], says: str, change: dict) -> None:
    cache, good = KeyValueCache(), dict.fromkeys("qkv", np.ones((2, 1, 4)))
    cache.attend(**good, scale=1.0)
    with pytest.raises(error, match=says):
        cache.attend(**{**good, "scale": 1.0, **change})
    assert repr(cache) == "KeyValueCache(1 blocks, 1 tokens)"
    with pytest.raises(InvalidValueError, match="cap is -1"):
        KeyValueCache(cap=-1.0).attend(**good, scale=1.0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": (5, 0)},
        {"window": (5, 0), "sink_tokens": 2, "cap": 1.5},
        {"slopes": [0.5, 0.25, 0.1, 0.05]},
    ],
)
def test_tokens_one_by_one_are_the_causal_whole(options: dict) -> None:
    """Grouped heads; keys beyond the window are forgotten."""
    q, k, v = (attention_arrays(40, heads, d, count=1)[0] for heads, d in ((4, 5), (2, 5), (2, 3)))
    cache, found = KeyValueCache(causal=True, **options), []
    for start, stop in ((0, 7), *((i, i + 1) for i in range(7, 40))):
        found.append(cache.attend(*(a[:, start:stop] for a in (q, k, v)), scale=0.4))
    whole, _ = softmax_attention(q, k, v, causal=True, scale=0.4, **options)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, rtol=0, atol=1e-13)
    assert cache.nbytes <= k.nbytes + v.nbytes
    if "window" in options:
        assert cache.nbytes < 0.75 * (k.nbytes + v.nbytes)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_two_bytes_are_kept_in_two_bytes(dtype: str) -> None:
    """The output is that of softmax_attention in this dtype, whose sums are float32."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    q, k, v = (a.astype(kind) for a in attention_arrays(33, heads=2, d=8, count=3))
    cache, found = KeyValueCache(causal=True), []
    for start, stop in ((0, 30), (30, 31), (31, 33)):
        found.append(cache.attend(*(a[:, start:stop] for a in (q, k, v)), scale=0.3))
    assert cache.nbytes == k.nbytes + v.nbytes
    whole, _ = softmax_attention(q, k, v, causal=True, scale=0.3)
    made = np.concatenate(found, axis=1)
    assert made.dtype == kind
    np.testing.assert_allclose(made.astype("f4"), whole.astype("f4"), rtol=0, atol=2 * float(ml_dtypes.finfo(kind).eps))
    wide, _ = softmax_attention(*(a.astype("f4") for a in (q, k, v)), causal=True, scale=0.3)
    np.testing.assert_allclose(made.astype("f4"), wide, rtol=2 * float(ml_dtypes.finfo(kind).eps), atol=1e-3)


def test_keys_on_several_ranks_are_looked_at_and_merged() -> None:
    """Two caches hold tokens in turn; a query after them sees the whole."""
    q, k, v = (attention_arrays(21, heads, 6, count=1)[0] for heads in (4, 2, 2))
    caches = [KeyValueCache(), KeyValueCache()]
    with pytest.raises(InvalidValueError, match="expected keep or attend before look"):
        caches[0].look(q[:, :1], scale=0.4)
    for cache in caches:
        cache.keep(k[:, :0], v[:, :0])
        out, lse = cache.look(q[:, :1], scale=0.4)
        assert (out == 0).all()
        assert (lse == -np.inf).all()
    for t in range(20):
        caches[t % 2].keep(k[:, t : t + 1], v[:, t : t + 1])
    seen = [cache.look(q[:, 20:], scale=0.4) for cache in caches]
    out, lse = merge_attention(*seen[0], *seen[1])
    whole, of_whole = softmax_attention(q[:, 20:], k[:, :20], v[:, :20], scale=0.4)
    np.testing.assert_allclose(out, whole, rtol=0, atol=1e-14)
    np.testing.assert_allclose(lse, of_whole, rtol=0, atol=1e-14)
    assert repr(caches[0]) == "KeyValueCache(11 blocks, 10 tokens)"
    with pytest.raises(ShapeError, match="divides that of q"):
        caches[0].look(q[:3, 20:], scale=0.4)
    with pytest.raises(ShapeError, match="those before have"):
        caches[0].keep(k[:1], v[:1])


def test_a_window_ends_before_the_token_that_looks() -> None:
    q, k, v = (attention_arrays(30, 2, 6, count=1)[0] for _ in range(3))
    cache = KeyValueCache(causal=True, window=(4, 0), sink_tokens=1)
    cache.keep(k[:, :29], v[:, :29])
    out, _ = cache.look(q[:, 29:], scale=0.4)
    near = [0, *range(25, 29)]
    expected, _ = softmax_attention(q[:, 29:], k[:, near], v[:, near], scale=0.4)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-14)
