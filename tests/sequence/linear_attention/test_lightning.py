"""Lightning attention on one rank: the dense sum, the recurrent step, split states, gradients, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from thread_ranks import on_ranks

import sci
from sci.distributed import split
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.sequence import lightning_attention, lightning_step

DECAY = np.array([0.05, 0.6])


def arrays(n: int, d: int = 4, e: int = 5, leading: tuple[int, ...] = (2,), dtype: str = "f8", seed: int = 0):
    rng = np.random.default_rng(seed)
    q, k = (rng.normal(size=(*leading, n, d)).astype(dtype) for _ in range(2))
    return q, k, rng.normal(size=(*leading, n, e)).astype(dtype), rng.normal(size=(*leading, d, e)).astype(dtype)


def dense(q, k, v, decay, state):
    """The sum over all pairs and the state, with nothing shared with the library."""
    i = np.arange(q.shape[-2])
    apart = i[:, None] - i
    weights = np.where(apart >= 0, np.exp(-decay[:, None, None] * np.maximum(apart, 0)), 0.0)
    out = (q @ k.swapaxes(-1, -2) * weights) @ v
    return out + np.exp(-decay[:, None] * (i + 1))[..., None] * (q @ state)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("n", [1, 6, 63, 64, 65, 800])
def test_forward_is_the_dense_sum(n, kernels):
    q, k, v, state = arrays(n, leading=(3, 2))
    with sci.options(kernels=kernels):
        out, _ = lightning_attention(q, k, v, DECAY, state)
    np.testing.assert_allclose(out, dense(q, k, v, DECAY, state), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("n", "d", "e"), [(770, 192, 96), (767, 128, 130), (769, 3, 200)])
def test_any_head_dimension_and_ragged_segments(n, d, e):
    q, k, v, state = arrays(n, d, e)
    out, _ = lightning_attention(q, k, v, DECAY, state)
    expected = dense(q, k, v, DECAY, state)
    np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


def test_a_sequence_of_steps_is_the_block_form():
    q, k, v, state = arrays(50)
    whole, end = lightning_attention(q, k, v, DECAY, state)
    for t in range(50):
        out, state = lightning_step(q[:, t], k[:, t], v[:, t], DECAY, state)
        np.testing.assert_allclose(out, whole[:, t], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(state, end, rtol=1e-12)


@pytest.mark.parametrize("cut", [0, 1, 17, 96, 100])
def test_a_state_carries_a_sequence_over_a_cut(cut):
    q, k, v, state = arrays(100)
    whole, end = lightning_attention(q, k, v, DECAY, state)
    first, middle = lightning_attention(q[:, :cut], k[:, :cut], v[:, :cut], DECAY, state)
    second, last = lightning_attention(q[:, cut:], k[:, cut:], v[:, cut:], DECAY, middle)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(last, end, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("n", [1, 13, 900])
def test_gradients(n, kernels):
    q, k, v, state = arrays(n, leading=(2, 2) if n == 13 else (2,))
    with sci.options(kernels=kernels):
        assert_vjp(lightning_attention, [q, k, v, DECAY, state], rtol=2e-6)


def test_gradients_without_a_state_and_of_one_output():
    q, k, v, _ = arrays(40)
    (out, end), residuals = lightning_attention.forward(q, k, v, DECAY)
    zero = lightning_attention.vjp((np.ones_like(out), np.zeros_like(end)), residuals)
    alone = lightning_attention.vjp((np.ones_like(out), None), residuals)
    assert alone[4] is None
    for a, b in zip(alone[:4], zero[:4]):
        np.testing.assert_array_equal(a, b)
    of_state = lightning_attention.vjp((None, np.ones_like(end)), residuals)
    assert not of_state[0].any()
    assert of_state[1].any()


@pytest.mark.parametrize(("dtype", "rtol"), [("f2", 2e-3), ("f4", 1e-5)])
def test_lower_precision(dtype, rtol):
    """Long sequences: the decay's gradient survives float32, whose plain sum of t q.dq would lose every digit."""
    q, k, v, state = arrays(6000, d=8, e=8, dtype=dtype)
    (out, end), residuals = lightning_attention.forward(q, k, v, DECAY.astype("f4"), state.astype("f4"))
    assert out.dtype == dtype
    assert end.dtype == np.float32
    dout = np.random.default_rng(1).normal(size=out.shape).astype(dtype)
    found = lightning_attention.vjp((dout, None), residuals)
    assert [g.dtype for g in found[:3]] == [np.dtype(dtype)] * 3
    exact = [a.astype("f8") for a in (q, k, v, DECAY.astype("f4"), state.astype("f4"))]
    (out64, _), residuals64 = lightning_attention.forward(*exact)
    expected = lightning_attention.vjp((dout.astype("f8"), None), residuals64)
    for a, b in zip((out, *found), (out64, *expected)):
        assert np.abs(a - b).max() <= rtol * np.abs(b).max()


def test_the_recurrence_stays_finite_where_the_unscaled_sum_overflows():
    q, k, v, _ = arrays(3000, dtype="f4")
    out, _ = lightning_attention(q, k, v, np.array([0.5, 8.0], "f4"))
    assert np.isfinite(out).all()
    assert np.log(np.finfo("f4").max) < 0.5 * 3000


def test_non_contiguous_input_is_taken_as_it_is_meant():
    q, k, v, state = arrays(30)
    expected, _ = lightning_attention(q, k, v, DECAY, state)
    flipped = (np.asfortranarray(a) for a in (q, k, v))
    np.testing.assert_array_equal(lightning_attention(*flipped, DECAY, state)[0], expected)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"k": np.zeros((2, 9, 4))}, ShapeError, "expected \\(heads, n, d\\)"),
        ({"q": np.zeros((2, 10, 4), "f4")}, DTypeError, "k has dtype float64, q float32"),
        ({"decay": np.zeros(3)}, ShapeError, "decay has shape"),
        ({"decay": np.array([0.1, -0.1])}, InvalidValueError, "decay holds negative"),
        ({"decay": np.array([0.1, np.nan])}, InvalidValueError, "decay holds"),
        ({"state": np.zeros((2, 5, 4))}, ShapeError, "state has shape"),
        ({"method": "tree"}, InvalidValueError, "method is 'tree'"),
        ({"v": np.full((2, 10, 5), np.inf)}, InvalidValueError, "NaN or infinite"),
    ],
)
def test_bad_input(change, error, text):
    q, k, v, state = arrays(10)
    with pytest.raises(error, match=text):
        lightning_attention(**{"q": q, "k": k, "v": v, "decay": DECAY, "state": state, **change})


def test_half_precision_never_overflows_in_silence():
    """Outputs, states and gradients that float16 cannot hold are errors; those that it can are right."""
    ones = np.ones((1, 400, 8), "f2")
    zero = np.zeros(1, "f4")
    with pytest.raises(InvalidValueError, match="the output of lightning attention exceeds the range of float16"):
        lightning_attention(8 * ones, 8 * ones, 2 * ones, zero)
    out, residuals = lightning_attention.forward(ones, ones, ones, zero)
    assert np.isfinite(out[0]).all()
    with pytest.raises(InvalidValueError, match="a gradient of lightning attention exceeds the range of float16"):
        lightning_attention.vjp((300 * ones, None), residuals)
    assert all(np.isfinite(g).all() for g in lightning_attention.vjp((ones, None), residuals)[:3])
    with pytest.raises(InvalidValueError, match="exceeds the range of float16"):
        lightning_step(*(np.full((1, 2), 200, "f2") for _ in range(3)), zero)


@pytest.mark.parametrize("shape", [(2, 5, 10), (10, 2, 5), (100,), (2, 10, 4)])
def test_a_gradient_of_another_shape_is_refused(shape):
    q, k, v, state = arrays(10)
    _, residuals = lightning_attention.forward(q, k, v, DECAY, state)
    with pytest.raises(ShapeError, match=r"dout has shape .*; expected \(2, 10, 5\)"):
        lightning_attention.vjp((np.ones(shape), None), residuals)
    with pytest.raises(ShapeError, match=r"dstate has shape \(2, 5, 4\); expected \(2, 4, 5\)"):
        lightning_attention.vjp((None, np.ones((2, 5, 4))), residuals)


@pytest.mark.parametrize("method", ["gather", "ring"])
def test_states_that_differ_between_ranks_are_refused(method):
    q, k, v, state = arrays(12)

    def body(comm):
        mine, options = [a[:, split(12, comm)] for a in (q, k, v)], {"method": method, "comm": comm}
        other = state + 1e-12 * comm.rank
        with pytest.raises(InvalidValueError, match="state differs between ranks"):
            lightning_attention(*mine, DECAY, other, **options)
        _, residuals = lightning_attention.forward(*mine, DECAY, state, **options)
        with pytest.raises(InvalidValueError, match="dstate differs between ranks"):
            lightning_attention.vjp((mine[2], other), residuals)
        with pytest.raises(InvalidValueError, match="decay differs between ranks"):
            lightning_attention(*mine, DECAY + 0.1 * comm.rank, **options)
        return True

    assert on_ranks(3, body) == [True] * 3


@pytest.mark.parametrize("method", ["gather", "ring"])
def test_overflow_on_one_rank_is_an_error_that_all_can_catch(method):
    """In the output, in a gradient, and in a kernel that fails: no rank is left waiting, and all go on afterwards."""
    q, k, v, state = arrays(12)

    def body(comm):
        last = comm.rank == comm.size - 1
        mine, options = [a[:, split(12, comm)] for a in (q, k, v)], {"method": method, "comm": comm}
        large = [1e200 * a if last else a for a in mine]
        with pytest.raises(InvalidValueError, match="NaN or infinite"), np.errstate(all="ignore"):
            lightning_attention(*large, DECAY, state, **options)
        _, residuals = lightning_attention.forward(*mine, DECAY, state, **options)
        dout = np.full_like(mine[2], np.inf if last else 1.0)
        with pytest.raises(InvalidValueError, match="NaN or infinite"), np.errstate(all="ignore"):
            lightning_attention.vjp((dout, None), residuals)
        return lightning_attention(*mine, DECAY, state, **options)[1]

    for end in on_ranks(3, body):
        np.testing.assert_allclose(end, lightning_attention(q, k, v, DECAY, state)[1], rtol=1e-12)
