"""AdamP and SGDP: the lemma of norm growth, projections, the gate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from optimizer_steps import steps_of

from sci.errors import ConvergenceError
from sci.nn import SGDP, AdamP, AdamW, project_radial, radial_view

RNG = np.random.default_rng(4)


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


@pytest.mark.parametrize("nesterov", [False, True])
def test_single_numbers_make_their_step(nesterov):
    optimizer, w = SGDP(0.1, momentum=0.5, nesterov=nesterov), {"w": np.array(1.0)}
    optimizer.update(w, {"w": np.array(2.0)}, optimizer.start(w), 1, 1.0)
    assert w["w"].shape == ()
    np.testing.assert_allclose(w["w"], 0.7 if nesterov else 0.8)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_projections_do_not_depend_on_the_scale(scale):
    """Squares of these weights and gradients are zero or infinite in float32."""
    weight, gradient = RNG.normal(size=(2, 3, 5))
    expected = project_radial(weight, gradient, "channel")
    found = project_radial((weight * scale).astype("f4"), gradient.astype("f4"), "channel")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for slope in (gradient, expected):
        view = radial_view((weight * scale).astype("f4"), (slope * scale).astype("f4"), 1e-3)
        assert view == radial_view(weight, slope, 1e-3)
    assert view == "channel"


def test_momenta_that_overflow_are_refused_by_name():
    optimizer, w = SGDP(1e-30), {"w": np.ones(2, "f4")}
    state = optimizer.start(w)
    steep = {"w": np.full(2, 3e38, "f4")}
    optimizer.update(w, steep, state, 1, 1.0)
    with pytest.raises(ConvergenceError, match="momentum of 'w' is NaN or infinite"):
        optimizer.update(w, steep, state, 2, 1.0)
