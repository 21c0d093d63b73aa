"""Gated linear attention and the gated delta rule against the recurrence written down token by token."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import sci
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.sequence import gated_linear_attention, gated_linear_step, lightning_attention

LABELS = np.array([1] * 20 + [2] + [7] * 50)


def case(features: bool, delta: bool, n: int = 71, d: int = 5, e: int = 6, seed: int = 0):
    rng = np.random.default_rng(seed)
    q, k = (rng.normal(size=(2, n, d)) for _ in range(2))
    k /= np.linalg.norm(k, axis=2, keepdims=True)
    v, dout = (rng.normal(size=(2, n, e)) for _ in range(2))
    state, dstate = (rng.normal(size=(2, d, e)) for _ in range(2))
    decay = rng.exponential(size=(2, n, d) if features else (2, n)) ** 3  # from nothing to everything in one token
    beta = rng.uniform(size=(2, n)) if delta else None
    return [q, k, v, decay, beta, state], dout, dstate


def recurrence(q, k, v, decay, beta, state, segments=None):
    """S <- diag(a) S, u = beta (v - S^T k), S <- S + k u^T, out = S^T q."""
    outs = []
    for t in range(q.shape[1]):
        a = np.exp(-decay[:, t])
        a = a[:, :, None] if decay.ndim == 3 else a[:, None, None]
        state = a * state * (0 if segments is not None and t and segments[t] != segments[t - 1] else 1)
        u = v[:, t]
        if beta is not None:
            u = beta[:, t, None] * (u - np.einsum("hde,hd->he", state, k[:, t]))
        state = state + k[:, t, :, None] * u[:, None]
        outs.append(np.einsum("hde,hd->he", state, q[:, t]))
    return np.stack(outs, axis=1), state


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize(
    ("features", "delta", "segments"), list(itertools.product((False, True), (False, True), (None, LABELS)))
)
def test_values_and_gradients_are_those_of_the_recurrence(features, delta, segments, kernels):
    """Gradients by complex steps of the recurrence, one random direction for each argument."""
    arguments, dout, dstate = case(features, delta)
    with sci.options(kernels=kernels):
        (out, end), residuals = gated_linear_attention.forward(*arguments, segments=segments)
        found = gated_linear_attention.vjp((dout, dstate), residuals)
    expected, last = recurrence(*arguments, segments=segments)
    assert np.abs(out - expected).max() < 1e-12
    assert np.abs(end - last).max() < 1e-12
    rng = np.random.default_rng(1)
    for i, (argument, gradient) in enumerate(zip(arguments, found)):
        if argument is None:
            assert gradient is None
            continue
        direction = rng.normal(size=argument.shape)
        moved = [None if a is None else a.astype(complex) for a in arguments]
        moved[i] = moved[i] + 1e-30j * direction
        o, s = recurrence(*moved, segments=segments)
        slope = ((o * dout).sum() + (s * dstate).sum()).imag / 1e-30
        assert gradient.shape == argument.shape
        assert abs((gradient * direction).sum() - slope) < 1e-12 * max(10, abs(slope))


@pytest.mark.parametrize("delta", [False, True])
def test_parts_steps_and_whole_agree(delta):
    arguments, *_ = case(True, delta)
    out, end = gated_linear_attention(*arguments)
    state, outs = arguments[5], []
    for t in range(out.shape[1]):
        token = [None if a is None else a[:, t] for a in arguments[:5]]
        one, state = gated_linear_step(*token, state)
        outs.append(one)
    assert np.abs(np.stack(outs, axis=1) - out).max() < 1e-12
    assert np.abs(state - end).max() < 1e-12
    first = gated_linear_attention(*[None if a is None else a[:, :30] for a in arguments[:5]], arguments[5])
    rest = gated_linear_attention(*[None if a is None else a[:, 30:] for a in arguments[:5]], first[1])
    assert np.abs(rest[0] - out[:, 30:]).max() < 1e-12
    assert np.abs(rest[1] - end).max() < 1e-12


def test_a_decay_per_head_is_lightning_attention():
    (q, k, v, _, _, state), *_ = case(False, False)
    decay = np.array([0.1, 2.0])
    expected = lightning_attention(q, k, v, decay, state)
    found = gated_linear_attention(q, k, v, np.repeat(decay[:, None], q.shape[1], axis=1), None, state)
    assert max(np.abs(a - b).max() for a, b in zip(found, expected)) < 1e-12


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("delta", [False, True])
def test_float32_is_stable_for_any_decay_and_infinity_forgets(delta, kernels):
    arguments, dout, dstate = case(True, delta, n=500)
    arguments[3] *= np.where(np.arange(500)[:, None] % 7, 1, 50)
    arguments[3][:, 100] = np.inf
    whole = gated_linear_attention.forward(*arguments)
    small = [None if a is None else a.astype("f4") for a in arguments]
    with sci.options(kernels=kernels):
        (out, end), residuals = gated_linear_attention.forward(*small)
        found = gated_linear_attention.vjp((dout.astype("f4"), dstate.astype("f4")), residuals)
    expected = gated_linear_attention.vjp((dout, dstate), whole[1])
    for got, want in zip((out, end, *found), (*whole[0], *expected)):
        assert want is None or np.abs(got - want).max() < 2e-5 * max(1, np.abs(want).max())
    assert (found[3][:, 100] == 0).all()


def test_batches_and_half_precision():
    arguments, *_ = case(True, True, n=9)
    batch = [np.stack([a, a[::-1]]).astype("f2") for a in arguments]
    labels = np.array([[0] * 9, [0] * 4 + [1] * 5])
    out, end = gated_linear_attention(*batch, segments=labels)
    assert out.dtype == "f2"
    assert end.dtype == "f4"
    for row in range(2):
        alone = gated_linear_attention(*[a[row].astype("f4") for a in batch], segments=labels[row])
        assert np.abs(out[row] - alone[0]).max() < 5e-3
        assert np.abs(end[row] - alone[1]).max() < 1e-5


def test_one_number_that_is_not_finite_is_refused():
    arguments, *_ = case(False, False)
    arguments[2][0, 3, 1] = np.inf
    with pytest.raises(InvalidValueError, match="output of gated linear attention"), np.errstate(invalid="ignore"):
        gated_linear_attention(*arguments)


@pytest.mark.parametrize(("labels", "message"), [((3, 4, 3), "returns after another"), ((1, -1, 2), "negative labels")])
def test_labels_without_a_meaning_are_refused(labels, message):
    arguments, *_ = case(False, False, n=6)
    with pytest.raises(InvalidValueError, match=message):
        gated_linear_attention(*arguments, segments=np.repeat(labels, 2))


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_the_array_form_is_the_recurrence_at_any_length(n):
    arguments, *_ = case(True, True, n=n)
    with sci.options(kernels="reference"):
        out, _ = gated_linear_attention(*arguments)
    assert np.abs(out - recurrence(*arguments)[0]).max() < 1e-12


def test_bfloat16_is_float32_rounded_once():
    import ml_dtypes

    arguments, dout, _ = case(True, True, n=70)
    half = [a.astype(ml_dtypes.bfloat16) for a in arguments[:5]]
    wide = [a.astype("f4") for a in half]
    (out, end), kept = gated_linear_attention.forward(*half)
    (expected, last), reference = gated_linear_attention.forward(*wide)
    found = gated_linear_attention.vjp((dout.astype(ml_dtypes.bfloat16), None), kept)
    wanted = gated_linear_attention.vjp((dout.astype(ml_dtypes.bfloat16).astype("f4"), None), reference)
    assert out.dtype == ml_dtypes.bfloat16
    assert (out == expected.astype(ml_dtypes.bfloat16)).all()
    assert (end == last).all()
    for got, want in zip(found[:5], wanted[:5]):
        assert got.dtype == ml_dtypes.bfloat16
        assert (got == want.astype(ml_dtypes.bfloat16)).all()


@pytest.mark.parametrize(
    ("place", "wrong", "error", "message"),
    [
        (1, lambda a: a[:, 1:], ShapeError, "q, k, v have shapes"),
        (3, lambda a: -a, InvalidValueError, "decay holds negative"),
        (3, lambda a: a * np.nan, InvalidValueError, "decay holds negative or NaN"),
        (3, lambda a: a[:, 1:], ShapeError, "decay has shape"),
        (3, lambda a: a.astype("f4"), DTypeError, "decay has dtype"),
        (4, lambda a: a[:1], ShapeError, "beta has shape"),
        (4, lambda a: a * np.inf, InvalidValueError, "beta holds NaN or Inf"),
        (5, lambda a: a[:1], ShapeError, "state has shape"),
    ],
)
def test_wrong_arguments_are_refused_by_name(place, wrong, error, message):
    arguments, *_ = case(True, True)
    arguments[place] = wrong(arguments[place])
    with pytest.raises(error, match=message):
        gated_linear_attention(*arguments)
