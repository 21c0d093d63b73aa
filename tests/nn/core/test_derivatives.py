"""Derivatives of derivatives: every rule against differences, networks against Taylor coefficients, refusals."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from op_cases import OPS

import sci.nn as P
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Op, Tape, checkpoint, directional_derivatives, op, value_and_gradients, value_of

RNG = np.random.default_rng(14)
WITH_RULE = [case for case in OPS if getattr(P, case[0]).jvp is not None]
SMOOTH = {
    *("add", "channel_scale", "concatenate", "cos", "crop", "divide", "einsum", "embedding", "exp", "gelu"),
    *("group_norm", "instance_norm", "layer_norm", "linear", "log", "log_softmax", "matmul", "mean"),
    *("mean_squared_error", "multiply", "negative", "pad", "pointwise_conv", "power", "reshape", "rms_norm"),
    *("scale_shift", "select", "sigmoid", "silu", "sin", "softmax", "softplus", "sqrt", "subtract", "sum", "take"),
    *("take_along_axis", "tanh", "transpose", "where"),
}
PIECEWISE = {"absolute", "clip", "maximum", "minimum", "relu"}


def floats(args: list) -> list[int]:
    return [k for k, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype.kind in "fc"]


def noise(like: np.ndarray) -> np.ndarray:
    return RNG.normal(size=like.shape) + (1j * RNG.normal(size=like.shape) if like.dtype.kind == "c" else 0)


def is_complex_of_absolute(name: str, args: list) -> bool:
    return name in ("absolute", "mean_squared_error") and args[0].dtype.kind == "c"


CASES = [case for case in WITH_RULE if not is_complex_of_absolute(case[0], case[1])]
IDS = [f"{k}-{name}" for k, (name, _, _) in enumerate(CASES)]


def test_smooth_ops_have_a_rule():
    """An op that enters with a rule is tested by its cases, too."""
    assert {name for name, _, _ in WITH_RULE} >= SMOOTH | PIECEWISE


def along(name: str, args: list, options: dict, k: int):
    """Return the op as a function of its argument k."""
    return lambda x: getattr(P, name)(*args[:k], x, *args[k + 1 :], **options)


@pytest.mark.parametrize(("name", "args", "options"), CASES, ids=IDS)
def test_a_rule_against_central_differences(name, args, options):
    """First derivatives against differences of values, second ones against differences of first ones."""
    for k in floats(args):
        f, d, h = along(name, args, options, k), noise(args[k]), 1e-5
        found = directional_derivatives(f, args[k], d)
        expected = (f(args[k] + h * d) - f(args[k] - h * d)) / (2 * h)
        assert found[1].dtype == found[0].dtype
        np.testing.assert_allclose(found[1], expected, rtol=0, atol=1e-8 * (1 + abs(expected).max()))
        if name in PIECEWISE:
            with pytest.raises(InvalidValueError, match=f"{name} is piecewise linear and has no second derivative"):
                directional_derivatives(f, args[k], d, order=2)
            continue
        second = directional_derivatives(f, args[k], d, order=2)[2]
        slopes = [directional_derivatives(f, args[k] + s * h * d, d)[1] for s in (1, -1)]
        expected = (slopes[0] - slopes[1]) / (2 * h)
        np.testing.assert_allclose(second, expected, rtol=0, atol=1e-8 * (1 + abs(expected).max()))


REAL = [c for c in CASES if c[0] not in PIECEWISE and all(c[1][k].dtype.kind == "f" for k in floats(c[1]))]
"""Smooth ops of real arrays: t below is real, and piecewise linear ops move across their kinks."""


@pytest.mark.parametrize(("name", "args", "options"), REAL, ids=[f"{k}-{case[0]}" for k, case in enumerate(REAL)])
def test_the_gradient_of_a_derivative_against_central_differences(name, args, options):
    """With all float arguments moved at once: the derivative along a direction, differentiated back along another."""
    places = floats(args)
    arrays = [args[k] for k in places]
    directions = [noise(a) for a in arrays]

    def derivative(values):
        def f(t):
            full = list(args)
            for k, value, d in zip(places, values, directions):
                moved = value + t * d
                full[k] = moved + 0.1 * moved * moved  # so that linear ops have second derivatives too
            return getattr(P, name)(*full, **options)

        return directional_derivatives(f, np.zeros(1), np.ones(1))[1]

    out = derivative(arrays)
    weight = np.cos(np.arange(out.size)).reshape(out.shape)
    _, gradients = value_and_gradients(lambda v: (derivative(v) * weight).sum(), arrays)
    h = 1e-5
    for k, array in enumerate(arrays):
        d = noise(array)
        ends = [(derivative([*arrays[:k], array + s * h * d, *arrays[k + 1 :]]) * weight).sum() for s in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * h)
        scale = max(abs(expected), 1e-3 * np.linalg.norm(gradients[k]) * np.linalg.norm(d), 1e-3)
        assert abs(np.vdot(gradients[k], d) - expected) <= 1e-6 * scale


NETWORK = {
    "w0": RNG.normal(size=(6, 2)),
    "b0": RNG.normal(size=6),
    "w1": RNG.normal(size=(6, 6)) / 2,
    "b1": RNG.normal(size=6),
    "w2": RNG.normal(size=(1, 6)),
}
POINTS, DIRECTION = RNG.normal(size=(5, 2)), np.array([0.6, -0.8])


def network(v, x, act=P.tanh):
    h = act(P.linear(x, v["w0"], v["b0"]))
    return P.linear(act(P.linear(h, v["w1"], v["b1"])), v["w2"])


def _mp_act(name):
    return {
        "tanh": mpmath.tanh,
        "sin": mpmath.sin,
        "gelu": lambda x: x * mpmath.ncdf(x),
        "silu": lambda x: x / (1 + mpmath.exp(-x)),
        "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    }[name]


def _mp_network(point, act):
    matrices = {name: mpmath.matrix(a.tolist()) for name, a in NETWORK.items()}

    def f(t):
        x = mpmath.matrix([point[k] + t * DIRECTION[k] for k in range(2)])
        h = (matrices["w0"] * x + matrices["b0"]).apply(act)
        return (matrices["w2"] * (matrices["w1"] * h + matrices["b1"]).apply(act))[0]

    return f


@pytest.mark.parametrize("name", ["tanh", "sin", "gelu", "silu", "softplus", "sigmoid"])
def test_a_network_to_fourth_order_against_taylor_coefficients(name):
    found = directional_derivatives(lambda x: network(NETWORK, x, getattr(P, name)), POINTS, DIRECTION, order=4)
    with mpmath.workdps(40):
        for row, point in enumerate(POINTS):
            coefficients = mpmath.taylor(_mp_network(point, _mp_act(name)), 0, 4)
            for k in range(5):
                exact = float(coefficients[k] * mpmath.factorial(k))
                assert abs(found[k][row, 0] - exact) <= 1e-12 * max(1, abs(exact)), (name, k)


def test_a_network_against_a_complex_step():
    h = 1e-30
    stepped = {n: w.astype(complex) for n, w in NETWORK.items()}
    expected = network(stepped, POINTS + 1j * h * DIRECTION).imag / h
    found = directional_derivatives(lambda x: network(NETWORK, x), POINTS, DIRECTION)[1]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)


def test_the_gradient_of_a_physics_informed_loss():
    """u_xx + u_yy + u u_x for a network, against central differences in every parameter."""

    def loss(v):
        u, u_x, u_xx = directional_derivatives(lambda x: network(v, x), POINTS, np.array([1.0, 0.0]), order=2)
        u_yy = directional_derivatives(lambda x: network(v, x), POINTS, np.array([0.0, 1.0]), order=2)[2]
        residual = u_xx + u_yy + u * u_x
        return P.mean(residual * residual)

    _, gradients = value_and_gradients(loss, NETWORK)
    for name, w in NETWORK.items():
        d, h = noise(w), 1e-5
        ends = [float(loss({**NETWORK, name: w + s * h * d})) for s in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * h)
        if name == "b0":
            assert abs(expected) > 1e-3
        np.testing.assert_allclose(np.vdot(gradients[name], d), expected, rtol=1e-7)


def test_a_function_of_several_parts():
    """Softmax attention over concatenated, padded, indexed parts: all shaping rules in one function."""

    def f(x):
        q = P.concatenate(x, x[:, ::-1] * x, axis=1)
        scores = P.einsum("id,jd->ij", q, q)
        out = P.softmax(scores, axis=1) @ P.crop(P.pad(q, ((0, 0), (1, 1))), ((0, 0), (1, 1)))
        return P.log(P.exp(out).sum(axis=1)).reshape(-1) + out.mean(axis=1) ** 3

    x, d, h = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3)), 1e-4
    found = directional_derivatives(f, x, d, order=3)
    for k in (1, 2):
        stencil = [directional_derivatives(f, x + s * h * d, d, order=k)[k] for s in (-2, -1, 1, 2)]
        expected = (stencil[0] - 8 * stencil[1] + 8 * stencil[2] - stencil[3]) / (12 * h)
        np.testing.assert_allclose(found[k + 1], expected, rtol=1e-8, atol=1e-8 * abs(expected).max())


def test_derivatives_of_two_levels_do_not_mix():
    """d/dx x (d/dy (x + y)) is 1, and 2 for an engine that takes both variables for one."""

    def f(x):
        return x * directional_derivatives(lambda y: x + y, np.ones(1), np.ones(1))[1]

    assert directional_derivatives(f, np.array([3.0]), np.ones(1))[1] == [1.0]

    def g(x):
        return directional_derivatives(lambda y: x * x * y * y, x, np.ones(1))[1]

    # at y = x the inner derivative is 2 x^2 y = 2 x^3 in value, and x is both outer variable and point
    assert directional_derivatives(g, np.array([2.0]), np.ones(1))[1] == [24.0]


def test_a_direction_that_is_a_variable_has_a_gradient():
    x, w = np.array([0.3, 0.4]), np.array([1.0, -2.0])
    _, gradient = value_and_gradients(lambda d: directional_derivatives(lambda x: P.sin(x), x, d)[1].sum(), w)
    np.testing.assert_allclose(gradient, np.cos(x), rtol=1e-15)


def test_derivatives_that_vanish_are_zeros_of_the_shape():
    u, u_x, u_xx, u_xxx = directional_derivatives(lambda x: x * x, np.array([3.0, 4.0], "f4"), np.ones(2), order=3)
    assert u_x.tolist() == [6, 8]
    assert u_xx.tolist() == [2, 2]
    assert u_xxx.tolist() == [0, 0]
    assert {a.dtype for a in (u, u_x, u_xx, u_xxx)} == {np.dtype("f4")}


def test_an_op_of_several_outputs():
    def jvp(out, args, tangents):
        return tangents[0] * 2.0, None

    split = Op(lambda x: ((2 * x, 0 * x), None), lambda dout, _: (2 * dout[0],), jvp=jvp)
    assert directional_derivatives(lambda x: split(x)[0], np.ones(3), np.ones(3))[1].tolist() == [2, 2, 2]
    with pytest.raises(InvalidValueError, match="does not depend on x"):
        directional_derivatives(lambda x: split(x)[1], np.ones(3), np.ones(3))


def test_an_op_without_a_rule_is_refused_by_name():
    bare = op(vjp=lambda dout, x: (2 * x * dout,))(lambda x: (x * x, x))
    for f in (bare, lambda x: P.relative_l2(x[None, None], target=np.ones((1, 1, 3)))):
        with pytest.raises(InvalidValueError, match="has no rule for derivatives of derivatives; expected ops"):
            directional_derivatives(f, np.ones(3), np.ones(3))


@pytest.mark.parametrize(
    ("tangent", "error"), [(np.ones(2), ShapeError), (np.ones(3, "f4"), DTypeError), (np.ones((1, 3)), ShapeError)]
)
def test_a_wrong_tangent_is_refused(tangent, error):
    wrong = Op(lambda x: (x * 1, None), lambda dout, _: (dout,), jvp=lambda out, args, tangents: tangent)
    with pytest.raises(error, match=r"the jvp of <op .* returned a tangent of shape"):
        directional_derivatives(wrong, np.ones(3), np.ones(3))


def test_refusals():
    x = np.ones((4, 2))
    cases = [
        (lambda: directional_derivatives(P.tanh, x, x, order=0), InvalidValueError, "order is 0"),
        (lambda: directional_derivatives(P.tanh, x, np.ones(3)), ShapeError, r"direction has shape \(3,\)"),
        (lambda: directional_derivatives(P.tanh, x, 1j * x), DTypeError, "direction is a"),
        (lambda: directional_derivatives(P.tanh, [1.0], x), DTypeError, "x is a list"),
        (lambda: directional_derivatives(lambda v: x, x, x), InvalidValueError, "does not depend on x"),
        (lambda: directional_derivatives(lambda v: P.tanh(value_of(v)), x, x), InvalidValueError, "not depend on x"),
        (lambda: directional_derivatives(np.tanh, x, x), TypeError, "ufunc"),
        (lambda: directional_derivatives(lambda v: np.concatenate([v, v]), x, x), DTypeError, "numpy.concatenate"),
        (lambda: directional_derivatives(lambda v: P.tanh(v) if v > 0 else v, x, x), DTypeError, "no comparisons"),
        (lambda: directional_derivatives(lambda v: Tape().watch(v), x, x), DTypeError, "a variable of type"),
        (lambda: directional_derivatives(lambda v: P.sum(x, axis=v), x, x), InvalidValueError, "option axis"),
        (lambda: directional_derivatives(P.absolute, x + 1j, x), DTypeError, "no complex derivative"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()


def test_a_checkpoint_inside_keeps_the_tangents():
    def loss(v, inner):
        u_xx = directional_derivatives(lambda x: inner(network, v, x), POINTS, DIRECTION, order=2)[2]
        return P.mean(u_xx * u_xx)

    plain = value_and_gradients(lambda v: loss(v, lambda f, *args: f(*args)), NETWORK)
    kept = value_and_gradients(lambda v: loss(v, checkpoint), NETWORK)
    assert plain[0] == kept[0]
    for name in NETWORK:
        np.testing.assert_array_equal(plain[1][name], kept[1][name])
    with pytest.raises(InvalidValueError, match="takes a dual from outside"):
        value_and_gradients(lambda v: loss(v, lambda f, v, x: checkpoint(lambda v: f(v, x), v)), NETWORK)
