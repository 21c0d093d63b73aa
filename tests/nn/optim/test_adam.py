"""Adam and AdamW: textbook formulas, complex parameters, clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest
from optimizer_steps import steps_of

import sci
from sci.errors import ConvergenceError, DTypeError, InvalidValueError
from sci.nn import SGDP, Adam, AdamP, AdamW, clip_by_global_norm, global_norm

RNG = np.random.default_rng(4)


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


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e20, 1e30])
def test_the_global_norm_of_float32_neither_overflows_nor_vanishes(size):
    gradients = {"a": np.full((2, 2), size, "f4"), "b": np.zeros(3, "f4"), "empty": np.empty(0, "f4")}
    with np.errstate(over="raise"):
        assert global_norm(gradients) == pytest.approx(2 * size, rel=1e-6)
    assert global_norm({"a": np.array([np.inf])}) == np.inf
    assert global_norm({"a": np.zeros(3)}) == global_norm({}) == 0


def test_dtypes_without_a_kernel_are_refused():
    for dtype in ("f2", ">f4"):
        w = {"w": np.ones(3, dtype)}
        optimizer = Adam()
        with pytest.raises(DTypeError, match="dtype"):
            optimizer.update(w, w, optimizer.start(w), 1, 1.0)


@pytest.mark.parametrize(("dtype", "size"), [("f4", 1e25), ("f8", 1e200)])
@pytest.mark.parametrize("optimizer", [Adam(0.1), AdamW(0.1), AdamP(0.1)])
def test_squares_that_overflow_are_refused_by_name(optimizer, dtype, size):
    w = {"calm": np.ones(2, dtype), "steep": np.ones((3, 2), dtype)}
    with pytest.raises(ConvergenceError, match="second moment of 'steep' is NaN or infinite"):
        optimizer.update(w, {"calm": w["calm"], "steep": np.full((3, 2), size, dtype)}, optimizer.start(w), 1, 1.0)


def test_clipping_refuses_a_norm_that_no_factor_brings_to_the_limit():
    for bad in (np.array([np.inf, 1.0]), np.array([np.nan]), np.full(9, 1.7e308)):
        with pytest.raises(ConvergenceError, match="norm of the gradients is"):
            clip_by_global_norm({"a": bad}, 1.0)
    clipped, norm = clip_by_global_norm({"a": np.full(4, 1e30, "f4")}, 1.0)
    np.testing.assert_allclose(clipped["a"], 0.5, rtol=1e-6)
    np.testing.assert_allclose(norm, 2e30, rtol=1e-6)
