"""Softmax attention on one rank: gradients, padding, precision, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from attention_features import CASES, assert_close, seen_table, takes
from attention_features import found as found_by
from attention_oracle import METHODS, PACKED, attention_arrays, dense, dense_vjp, relative, seen_by
from gradients import assert_vjp
from thread_ranks import ThreadComm, on_ranks

import sci
from sci.distributed import shard
from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError
from sci.nn import Op, Tape, value_of
from sci.sequence import (
    linformer_attention,
    softmax_attention,
)
from sci.sequence.attention import ring


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("name", CASES)
def test_every_option_gives_the_dense_sum_and_its_gradients(name: str, threads: int) -> None:
    """Fused sweeps with one thread, two sweeps with more threads than heads; ranges alone also by a strip."""
    for method in METHODS if threads == 1 else METHODS[:1]:
        with sci.options(threads=threads):
            for one in found_by(CASES[name], method=method) if takes(method, name) else ():
                assert_close(*one)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "options", [{}, {"causal": True, "scale": 0.3}, {"segments": PACKED, "causal": True}, {"blocks": (1, 4, 16)}]
)
def test_gradients_are_central_differences(method: str, options: dict) -> None:
    def finite_forward(q, k, v, **options):
        (out, lse), residuals = softmax_attention.forward(q, k, v, **options)
        return (out, np.where(np.isneginf(lse), 0, lse)), residuals

    assert_vjp(Op(finite_forward, softmax_attention.vjp), attention_arrays(len(PACKED))[:3], method=method, **options)


@pytest.mark.parametrize("method", METHODS)
def test_padding_sees_nothing_and_is_not_seen(method: str) -> None:
    q, k, v, dout = attention_arrays(len(PACKED))
    (out, lse), residuals = softmax_attention.forward(q, k, v, segments=PACKED, method=method)
    padding = PACKED < 0
    assert (out[:, padding] == 0).all()
    assert np.isneginf(lse[:, padding]).all()
    for gradient in softmax_attention.vjp((dout, None), residuals):
        assert (gradient[:, padding] == 0).all()
        assert np.isfinite(gradient).all()
    alone = softmax_attention(*(a[:, 2:9] for a in (q, k, v)))[0]
    np.testing.assert_allclose(out[:, 2:9], alone, rtol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_on_the_tape(method: str) -> None:
    q, k, v, dout = attention_arrays(9)
    variables = Tape().watch([q, k, v])
    out, _ = softmax_attention(*variables, causal=True, method=method)
    out.backward(dout)
    np.testing.assert_array_equal(value_of(out), softmax_attention(q, k, v, causal=True, method=method)[0])
    for variable, want in zip(variables, dense_vjp(q, k, v, 5**-0.5, seen_by(9, True, None), dout, np.zeros((2, 9)))):
        np.testing.assert_allclose(variable.gradient, want, rtol=1e-11, atol=1e-13)


def test_wider_sums_for_narrow_numbers() -> None:
    """Half precision is rounded once, at the end; single precision can be summed in double."""
    n = 700
    seen = seen_by(n, True, None)
    for dtype, precision, limit in (("f2", None, 5e-4), ("f4", None, 2e-6), ("f4", "float64", 1e-7)):
        q, k, v, dout = attention_arrays(n, heads=1, d=16, dtype=dtype)
        wide = [a.astype("f8") for a in (q, k, v)]
        (out, lse), residuals = softmax_attention.forward(q, k, v, causal=True, precision=precision)
        assert out.dtype == np.dtype(dtype)
        assert lse.dtype == np.dtype(precision or "float32")
        assert relative(out, dense(*wide, 0.25, seen)[0]) < limit
        expected = dense_vjp(*wide, 0.25, seen, dout.astype("f8"), np.zeros((1, n)))
        for found, want in zip(softmax_attention.vjp((dout, None), residuals), expected):
            assert found.dtype == np.dtype(dtype)
            assert relative(found, want) < limit


def test_bfloat16_is_summed_in_single_precision() -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    q, k, v, dout = (a.astype(bfloat16) for a in attention_arrays(60, d=16))
    wide = [a.astype("f8") for a in (q, k, v)]
    (out, lse), residuals = softmax_attention.forward(q, k, v, causal=True)
    assert (out.dtype, lse.dtype) == (bfloat16, np.dtype("f4"))
    np.testing.assert_array_equal(softmax_attention(q, k, v, causal=True)[1], lse)
    seen = seen_by(60, True, None)
    assert relative(out.astype("f8"), dense(*wide, 0.25, seen)[0]) < 4e-3  # 8 bits, rounded once
    wanted = dense_vjp(*wide, 0.25, seen, dout.astype("f8"), np.zeros((2, 60)))
    for gradient, want in zip(softmax_attention.vjp((dout, None), residuals), wanted):
        assert gradient.dtype == bfloat16
        assert relative(gradient.astype("f8"), want) < 4e-3


def test_large_and_overflowing_scores() -> None:
    q, k, v, _ = attention_arrays(20)
    for dtype, size in (("f4", 1e2), ("f8", 1e3)):
        out, lse = softmax_attention(*(a.astype(dtype) for a in (size * q, size * k, v)))
        assert np.isfinite(out).all()
        assert np.abs(lse).max() > 1e4
    with pytest.raises(InvalidValueError, match="scores overflow"):
        softmax_attention((1e30 * q).astype("f4"), (1e30 * k).astype("f4"), v.astype("f4"))


def test_bad_input_is_named() -> None:
    q, k, v, dout = attention_arrays(6)
    bad = q.copy()
    bad[1, 2, 3] = np.inf
    for error, says, call in (
        (InvalidValueError, r"q holds 1 values .* \(1, 2, 3\)", lambda: softmax_attention(bad, k, v)),
        (InvalidValueError, "method is 'star'", lambda: softmax_attention(q, k, v, method="star")),
        (InvalidValueError, "layout is 'spiral'", lambda: softmax_attention(q, k, v, layout="spiral")),
        (InvalidValueError, "scale is nan", lambda: softmax_attention(q, k, v, scale=float("nan"))),
        (ShapeError, "segments has", lambda: softmax_attention(q, k, v, segments=np.zeros(5, int))),
        (ShapeError, "length is 7", lambda: softmax_attention(q, k, v, length=7)),
        (ShapeError, "expected one shape", lambda: softmax_attention(q, k[:, 1:], v)),
        (ShapeError, "with up to four leading axes", lambda: softmax_attention(q[0], k[0], v[0])),
        (ShapeError, "head_dim is 600", lambda: softmax_attention(*[np.zeros((1, 1, 600))] * 3)),
        (DTypeError, "complex128", lambda: softmax_attention(q + 0j, k, v)),
        (
            ShapeError,
            "dlse has shape",
            lambda: softmax_attention.vjp((dout, dout), softmax_attention.forward(q, k, v)[1]),
        ),
        (ShapeError, r"expected \(rows, 6\)", lambda: linformer_attention(q, k, v, np.ones((3, 5)), np.ones((3, 5)))),
        (DTypeError, "e has dtype float32", lambda: linformer_attention(q, k, v, *np.ones((2, 3, 6), "f4"))),
    ):
        with pytest.raises(error, match=says):
            call()


def test_empty_sequences_and_batches() -> None:
    for shape in ((2, 0, 4), (0, 3, 4), (3, 0, 2, 4)):
        for method in METHODS:
            (out, lse), residuals = softmax_attention.forward(*[np.zeros(shape)] * 3, method=method)
            assert (out.shape, lse.shape) == (shape, shape[:-1])
            assert all(g.shape == shape for g in softmax_attention.vjp((out, lse), residuals))


@pytest.mark.peers
@pytest.mark.parametrize("name", ["bias", "cap_and_slopes", "learned_sinks", "mask"])
def test_torch_differentiates_every_score_alike(name: str) -> None:
    torch, case = pytest.importorskip("torch"), CASES[name]
    a, o, group = case.arrays(), case.options, case.heads // case.key_heads
    t = {key: torch.tensor(x, requires_grad=x.dtype == float) for key, x in a.items()}
    k, v = (t[key].repeat_interleave(group, -3) for key in "kv")
    scores = t["q"] @ k.transpose(-1, -2) * case.d**-0.5
    if "cap" in o:
        scores = o["cap"] * torch.tanh(scores / o["cap"])
        apart = np.abs(np.arange(case.n)[:, None] - np.arange(case.m))
        scores = scores - torch.tensor(np.array(o["slopes"])[:, None, None] * apart)
    scores = scores + t.get("bias", 0)
    table = seen_table(case)[0] & a.get("mask", np.True_)
    seen = torch.tensor(np.broadcast_to(table, scores.shape).copy())
    scores = scores.masked_fill(~seen, -1e300)
    if case.sinks:
        scores = torch.cat([scores, t["sinks"][:, None, None].expand(*scores.shape[:-1], 1)], -1)
    out = torch.softmax(scores, -1)[..., : case.m] * seen @ v
    lse = torch.where(seen.any(-1), torch.logsumexp(scores, -1), 0.0)
    ((out * t["dout"].detach()).sum() + (lse * t["dlse"].detach()).sum()).backward()
    for what, got, _ in found_by(case):
        if what not in ("out", "lse"):
            assert_close(what, got, t[what].grad.numpy())
    assert_close("out", next(found_by(case))[1], out.detach().numpy())


@pytest.mark.peers
def test_torch_agrees() -> None:
    torch = pytest.importorskip("torch")
    q, k, v, dout = attention_arrays(200, heads=3, d=16)
    theirs = [torch.tensor(a[None], requires_grad=True) for a in (q, k, v)]
    result = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=True)
    result.backward(torch.tensor(dout[None]))
    (out, _), residuals = softmax_attention.forward(q, k, v, causal=True)
    np.testing.assert_allclose(out, result[0].detach().numpy(), rtol=0, atol=1e-13)
    for ours, their in zip(softmax_attention.vjp((dout, None), residuals), theirs):
        np.testing.assert_allclose(ours, their.grad[0].numpy(), rtol=0, atol=1e-12)


def test_gradients_that_half_precision_cannot_hold_are_an_error() -> None:
    q, k, v, dout = attention_arrays(30, dtype="f2")
    residuals = softmax_attention.forward(q, k, v)[1]
    assert all(np.isfinite(g).all() for g in softmax_attention.vjp((dout, None), residuals))
    with pytest.raises(InvalidValueError, match="a gradient of softmax attention exceeds the range of float16"):
        softmax_attention.vjp((np.full_like(dout, 60000), None), residuals)
    with pytest.raises(InvalidValueError, match="a gradient of softmax attention holds"), np.errstate(all="ignore"):
        softmax_attention.vjp((np.full_like(dout, np.inf), None), residuals)


@pytest.mark.parametrize("method", METHODS)
def test_a_failure_of_one_rank_is_an_error_that_all_can_catch(method: str) -> None:
    """Scores and gradients that overflow on one rank; all ranks go on afterwards."""
    q, k, v, _ = attention_arrays(9)
    whole = softmax_attention(q, k, v)[0]

    def body(comm: ThreadComm) -> np.ndarray:
        mine, options = [shard(a, comm, 1) for a in (q, k, v)], {"method": method, "comm": comm}
        huge = mine[0] * (1e200 if comm.rank == 1 else 1.0)
        with pytest.raises(InvalidValueError, match="scores overflow"), np.errstate(all="ignore"):
            softmax_attention(huge, mine[1] * 1e200, mine[2], **options)
        _, residuals = softmax_attention.forward(*mine, **options)
        infinite = np.full_like(mine[0], np.inf if comm.rank == 1 else 1.0)
        with pytest.raises(InvalidValueError, match="a gradient of softmax attention"), np.errstate(all="ignore"):
            softmax_attention.vjp((infinite, None), residuals)
        return softmax_attention(*mine, **options)[0]

    parts = on_ranks(3, body)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-12)


def test_work_that_fails_in_mid_ring_is_an_error_that_all_can_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v, _ = attention_arrays(9)
    attend = ring.attend
    turns = iter([0, 0, 0, 0, 1, 0, 0, 0, 0])  # one of nine tiles fails, on whatever rank it is

    def attend_or_fail(*arguments: object, **options: object) -> None:
        if next(turns):
            raise MemoryError("no room for a tile")
        attend(*arguments, **options)

    def body(comm: ThreadComm) -> str:
        with pytest.raises((MemoryError, SciError), match="no room for a tile") as caught:
            softmax_attention(*(shard(a, comm, 1) for a in (q, k, v)), comm=comm)
        return str(caught.value)

    monkeypatch.setattr(ring, "attend", attend_or_fail)
    said = on_ranks(3, body)
    assert sorted(text.startswith("rank ") for text in said) == [False, True, True]


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("method", METHODS)
def test_scores_that_overflow_are_an_error_in_every_method(method: str, kernels: str) -> None:
    q, k, v, _ = attention_arrays(20, dtype="f4")
    with sci.options(kernels=kernels), np.errstate(all="ignore"):
        for sign in (1, -1):
            with pytest.raises(InvalidValueError, match="scores overflow"):
                softmax_attention(sign * np.abs(q) * np.float32(1e30), np.abs(k) * np.float32(1e30), v, method=method)
