"""Values and gradients of functions of parameters; checkpoints give the same bits and keep less."""

from __future__ import annotations

import numpy as np
import pytest
from example_ops import cube, halves, multiply, total

from sci import nn
from sci.errors import InvalidValueError
from sci.nn import Tape, checkpoint, value_and_gradients

X = np.array([1.0, -2.0, 3.0, 0.5])


def test_checkpoint_gives_the_same_bits_and_keeps_less():
    def loss(x, keep):
        return total(cube(cube(x)) if keep else checkpoint(lambda v: cube(cube(v)), x))

    gradients = []
    for keep in (True, False):
        x = Tape().watch(X.copy())
        out = loss(x, keep)
        assert len(x.tape.steps) == (5 if keep else 2)
        out.backward()
        gradients.append(x.gradient)
    np.testing.assert_array_equal(*gradients)
    np.testing.assert_allclose(gradients[0], 9 * X**8, rtol=1e-14)


def test_checkpoint_sees_captured_variables_dicts_and_several_outputs():
    def inside(variables, scale):
        return halves(multiply(multiply(variables["w"], captured), scale * X))

    w, captured = Tape().watch([X.copy(), 2 * X])
    _, second = checkpoint(inside, {"w": w}, scale=3.0)
    total(second).backward()
    mask = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(w.gradient, 6 * X**2 * mask)
    np.testing.assert_allclose(captured.gradient, 3 * X**2 * mask)


def test_checkpoints_nest():
    def outer(x):
        return checkpoint(cube, cube(x))

    x = Tape().watch(X.copy())
    total(checkpoint(outer, x)).backward()
    np.testing.assert_allclose(x.gradient, 9 * X**8, rtol=1e-14)


def test_a_failing_checkpoint_leaves_the_tape_recording():
    def fails(x):
        raise RuntimeError("no")

    x = Tape().watch(X.copy())
    with pytest.raises(RuntimeError, match="no"):
        checkpoint(fails, x)
    total(cube(x)).backward()
    np.testing.assert_allclose(x.gradient, 3 * X**2, rtol=1e-15)


def test_value_and_gradients():
    def loss(v):
        return total(multiply(v["a"], v["b"]))

    parameters = {"a": X, "b": X + 1, "unused": X.astype("f4")}
    value, gradients = value_and_gradients(loss, parameters)
    assert value == pytest.approx((X * (X + 1)).sum())
    np.testing.assert_array_equal(gradients["a"], X + 1)
    np.testing.assert_array_equal(gradients["unused"], np.zeros(4, "f4"))
    assert {n: g.dtype for n, g in gradients.items()} == {n: p.dtype for n, p in parameters.items()}


def test_parameters_may_be_a_tree():
    tree = {"layers": [{"w": X}, {"w": 2 * X}], "b": X}
    value, gradients = value_and_gradients(lambda v: (total(multiply(v["layers"][0]["w"], v["b"])), v["b"]), tree)
    assert value[0] == X @ X
    np.testing.assert_array_equal(value[1], X)
    np.testing.assert_array_equal(gradients["layers"][0]["w"], X)
    np.testing.assert_array_equal(gradients["layers"][1]["w"], 0 * X)


def test_a_checkpoint_hands_variables_both_times():
    seen = []

    def inside(x):
        seen.append(type(x + 1))
        return ((x + 1) * x).sum()

    x = Tape().watch(X)
    checkpoint(inside, x).backward()
    assert seen == [nn.Variable, nn.Variable]
    np.testing.assert_allclose(x.gradient, 2 * X + 1)


def test_an_array_is_a_tree_too():
    value, gradient = value_and_gradients(lambda x: (x * x).sum(), X)
    assert value == X @ X
    np.testing.assert_array_equal(gradient, 2 * X)


def test_what_is_no_scalar_variable_is_refused():
    with pytest.raises(InvalidValueError, match="returned a float; expected a variable"):
        value_and_gradients(lambda x: 1.0, X)
    with pytest.raises(InvalidValueError, match="without dout"):
        value_and_gradients(lambda x: x * x, X)


def test_a_checkpoint_may_return_none_beside_variables():
    only_first = nn.Op(lambda x: ((x * 2, None), None), lambda dout, _: (2 * dout[0],))
    x = Tape().watch(X)
    first, second = checkpoint(only_first, x)
    assert second is None
    first.backward(X)
    np.testing.assert_array_equal(x.gradient, 2 * X)
