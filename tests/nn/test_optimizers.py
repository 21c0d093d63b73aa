"""Optimizers: textbook formulas, the projection's lemma and norm growth, clipping, complex parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest

import sci
from sci.errors import InvalidValueError
from sci.nn import SGDP, Adam, AdamP, AdamW, clip_by_global_norm, global_norm, project_radial, radial_view

RNG = np.random.default_rng(4)


def steps_of(optimizer, w0: dict, gradient, n: int, factor: float = 1.0) -> dict:
    w = {k: v.copy() for k, v in w0.items()}
    state = optimizer.start(w)
    for step in range(1, n + 1):
        optimizer.update(w, gradient(w, step), state, step, factor)
    return w


@pytest.mark.parametrize("mode", ["compiled", "reference"])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_is_its_formula(mode, decoupled):
    w0, gradients = RNG.normal(size=5), RNG.normal(size=(4, 5))
    w, m, v = w0.copy(), np.zeros(5), np.zeros(5)
    for t, g in enumerate(gradients, 1):
        g = g if decoupled else g + 0.1 * w
        w = w * (1 - 0.02 * 0.1) if decoupled else w
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        w = w - 0.02 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
    kind = AdamW if decoupled else Adam
    with sci.options(kernels=mode):
        optimizer = kind(0.04, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)
        found = steps_of(optimizer, {"w": w0}, lambda w, t: {"w": gradients[t - 1]}, 4, factor=0.5)
    np.testing.assert_allclose(found["w"], w, rtol=1e-13)


@pytest.mark.parametrize("optimizer", [Adam(), AdamW(), AdamP(), SGDP(weight_decay=0.1)])
def test_a_complex_parameter_moves_like_two_real_ones(optimizer):
    z, dz = RNG.normal(size=(2, 3, 4, 2))
    pairs = steps_of(optimizer, {"w": z}, lambda w, t: {"w": t * dz}, 3)["w"]
    whole = steps_of(optimizer, {"w": z.view(complex)[..., 0]}, lambda w, t: {"w": t * dz.view(complex)[..., 0]}, 3)[
        "w"
    ]
    np.testing.assert_array_equal(whole.view(float).reshape(pairs.shape), pairs)


@pytest.mark.parametrize("optimizer", [Adam(), AdamW(), AdamP(), SGDP(weight_decay=0.1, nesterov=True)])
def test_single_precision_stays_single(optimizer):
    w0 = {"a": np.ones((3, 2), "f4"), "z": np.ones((2, 2), "c8")}
    w, state = {k: v.copy() for k, v in w0.items()}, None
    state = optimizer.start(w)
    optimizer.update(w, w0, state, 1, 0.7)
    arrays = [*w.values(), *(a for group in state.values() for a in group.values())]
    assert {str(a.dtype) for a in arrays} == {"float32", "complex64"}


def sphere_gradient(target):
    """Gradient of -cos(w, target), which does not change when w is scaled."""

    def gradient(w, _):
        size = np.linalg.norm(w["w"])
        unit = w["w"] / size
        return {"w": -(target - unit * (unit * target).sum()) / size}

    return gradient


def test_the_lemma_of_norm_growth():
    """|w_T|^2 = |w_0|^2 + eta^2 sum |p_t|^2 + 2 eta^2 sum_t sum_{k<t} beta^{t-k} |p_k|^2 for heavy-ball descent."""
    target, w0 = RNG.normal(size=(2, 4, 5))
    for beta in (0.0, 0.5, 0.9):
        eta, w, p, history = 0.1, w0.copy(), np.zeros((4, 5)), []
        for _ in range(300):
            p = beta * p + sphere_gradient(target)({"w": w}, 0)["w"]
            history.append((p * p).sum())
            w = w - eta * p
        squares = np.array(history)
        cross = sum(beta ** (t - k) * squares[k] for t in range(300) for k in range(t))
        expected = (w0 * w0).sum() + eta**2 * squares.sum() + 2 * eta**2 * cross
        assert (w * w).sum() == pytest.approx(expected, rel=1e-12)
        # With delta = 0 nothing is projected: SGDP is heavy-ball descent.
        plain = steps_of(SGDP(eta, momentum=beta, delta=0.0), {"w": w0}, sphere_gradient(target), 300)["w"]
        np.testing.assert_allclose(plain, w, rtol=1e-12, atol=1e-13)


def test_projected_steps_grow_the_norm_exactly_by_their_own_length():
    target, w0 = RNG.normal(size=(2, 4, 5))
    optimizer, w = SGDP(0.1, momentum=0.9, scale_invariant={"w": "layer"}), {"w": w0.copy()}
    state, total = optimizer.start(w), (w0 * w0).sum()
    for step in range(1, 301):
        before = w["w"].copy()
        optimizer.update(w, sphere_gradient(target)(w, 0), state, step, 1.0)
        p = state["momentum"]["w"]
        tangent = p - before * (p * before).sum() / (before * before).sum()
        total += 0.01 * (tangent * tangent).sum()
    assert (w["w"] ** 2).sum() == pytest.approx(total, rel=1e-12)
    free = steps_of(SGDP(0.1, momentum=0.9, delta=0.0), {"w": w0}, sphere_gradient(target), 300)["w"]
    assert np.linalg.norm(free) > 1.3 * np.linalg.norm(w["w"])


@pytest.mark.parametrize("view", ["channel", "layer"])
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_adamp_steps_are_orthogonal_to_the_weights(view, dtype):
    w0, g = RNG.normal(size=(2, 4, 3, 2)).astype(dtype)
    if dtype == "c16":
        w0, g = w0 + 1j * w0[::-1, ::-1], g - 1j * w0
    w = steps_of(AdamP(0.1, weight_decay=0, scale_invariant={"w": view}), {"w": w0}, lambda w, t: {"w": g}, 1)["w"]
    inner = ((w - w0) * w0.conj()).real.reshape(4 if view == "channel" else 1, -1).sum(axis=1)
    np.testing.assert_allclose(inner, 0, atol=1e-14)
    projected = project_radial(w0, g, view)
    np.testing.assert_allclose(project_radial(w0, projected, view), projected, atol=1e-14)


def test_the_gate():
    w = RNG.normal(size=(6, 8))
    rows = project_radial(w, RNG.normal(size=w.shape), "channel")
    whole = project_radial(w, RNG.normal(size=w.shape), "layer")
    assert radial_view(w, rows, 0.1) == "channel"
    assert radial_view(w, whole, 0.1) == "layer"
    assert radial_view(w, w, 0.1) is None
    assert radial_view(w[0], rows[0], 0.1) is None, "one axis: biases and scales are never projected"
    fired = [radial_view(*RNG.normal(size=(2, 8, 16)), 0.1) is not None for _ in range(3000)]
    assert np.mean(fired) == pytest.approx(math.erf(0.1 / math.sqrt(2)), abs=0.015), "8 % false positives"


def test_adamp_decays_projected_weights_less_and_is_adamw_elsewhere():
    w0, g = RNG.normal(size=(2, 5, 7))
    radial = {"w": w0.copy()}  # a gradient along w: not scale-invariant
    a = steps_of(AdamP(0.1, weight_decay=0.5), {"w": w0}, lambda w, t: radial, 2)["w"]
    b = steps_of(AdamW(0.1, weight_decay=0.5), {"w": w0}, lambda w, t: radial, 2)["w"]
    np.testing.assert_allclose(a, b, rtol=1e-13)
    known = AdamP(0.1, weight_decay=0.5, scale_invariant={"w": "layer"})
    c = steps_of(known, {"w": w0}, lambda w, t: {"w": g}, 1)["w"]
    assert (c * w0).sum() / (w0 * w0).sum() == pytest.approx(1 - 0.1 * 0.5 * 0.1, rel=1e-12)


def test_clipping_by_the_global_norm():
    gradients = {"a": np.full((2, 2), 3.0), "z": np.array([8j])}
    assert global_norm(gradients) == pytest.approx(10.0)
    clipped, norm = clip_by_global_norm(gradients, 2.5)
    assert norm == pytest.approx(10.0)
    assert global_norm(clipped) == pytest.approx(2.5)
    np.testing.assert_allclose(clipped["z"], [2j])
    same, _ = clip_by_global_norm(gradients, 10.5)
    assert same["a"] is gradients["a"]
    assert math.isnan(global_norm({"a": np.array([1.0, np.nan])}))
    with pytest.raises(InvalidValueError, match="limit"):
        clip_by_global_norm(gradients, 0.0)


def test_bad_settings():
    for make in (
        lambda: Adam(learning_rate=-1),
        lambda: AdamW(betas=(1.0, 0.9)),
        lambda: Adam(eps=math.nan),
        lambda: SGDP(momentum=1.0),
        lambda: AdamP(scale_invariant={"w": "rows"}),
        lambda: AdamP(wd_ratio=-0.1),
    ):
        with pytest.raises(InvalidValueError, match="expected"):
            make()
