"""The tape: composition, reuse, several outputs, freeing, checkpoints, dtypes, complex arrays."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from gradients import assert_vjp

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Tape, Variable, value_and_gradients


def multiply(a, b):
    return a * b, (a, b)


def multiply_vjp(dout, residuals):
    a, b = residuals
    return dout * np.conj(b), dout * np.conj(a)


def total(x):
    return x.sum(), x.shape


def total_vjp(dout, shape):
    return (np.broadcast_to(dout, shape),)


def halves(x):
    n = len(x) // 2
    return (x[:n], x[n:]), (x.shape, x.dtype, n)


def halves_vjp(dout, residuals):
    shape, dtype, n = residuals
    gradient = np.zeros(shape, dtype)
    for part, d in zip((gradient[:n], gradient[n:]), dout):
        if d is not None:
            part[...] = d
    return (gradient,)


def cube(tape, x):
    return tape.call(multiply, multiply_vjp, x, tape.call(multiply, multiply_vjp, x, x))


X = np.array([1.0, -2.0, 3.0, 0.5])


def test_a_variable_used_three_times():
    tape, x = Tape(), Variable(X.copy())
    tape.backward(tape.call(total, total_vjp, cube(tape, x)))
    np.testing.assert_allclose(x.gradient, 3 * X**2, rtol=1e-15)


def test_the_example_pairs():
    assert_vjp(multiply, multiply_vjp, [X, X + 1])
    assert_vjp(multiply, multiply_vjp, [X + 1j, X - 2j])
    assert_vjp(halves, halves_vjp, [X])


@pytest.mark.parametrize("wrong", [lambda d, r: (d, d), lambda d, r: (d * r[1], 1.001 * d * r[0])])
def test_the_check_sees_a_wrong_vjp(wrong):
    with pytest.raises(AssertionError, match="differences"):
        assert_vjp(multiply, wrong, [X, X + 1])


def test_several_outputs_one_unused():
    tape, x = Tape(), Variable(X.copy())
    first, _ = tape.call(halves, halves_vjp, x)
    tape.backward(tape.call(total, total_vjp, first))
    np.testing.assert_array_equal(x.gradient, [1, 1, 0, 0])


def test_plain_arrays_are_not_recorded():
    tape = Tape()
    assert type(cube(tape, X)) is np.ndarray
    assert type(tape.checkpoint(cube, X)) is np.ndarray
    assert tape._steps == []
    tape = Tape(record=False)
    assert type(tape.checkpoint(cube, Variable(X))) is np.ndarray
    assert type(cube(tape, Variable(X))) is np.ndarray
    assert tape._steps == []


def test_constants_get_no_gradient_and_unused_variables_none():
    tape, x, y = Tape(), Variable(X.copy()), Variable(X.copy())
    tape.backward(tape.call(total, total_vjp, tape.call(multiply, multiply_vjp, x, X)))
    np.testing.assert_array_equal(x.gradient, X)
    assert y.gradient is None


def test_checkpoint_gives_the_same_bits_and_keeps_less():
    def loss(tape, x, keep):
        y = cube(tape, cube(tape, x)) if keep else tape.checkpoint(lambda t, v: cube(t, cube(t, v)), x)
        return tape.call(total, total_vjp, y)

    gradients = []
    for keep in (True, False):
        tape, x = Tape(), Variable(X.copy())
        out = loss(tape, x, keep)
        assert len(tape._steps) == (5 if keep else 2)
        tape.backward(out)
        gradients.append(x.gradient)
    np.testing.assert_array_equal(*gradients)
    np.testing.assert_allclose(gradients[0], 9 * X**8, rtol=1e-14)


def test_checkpoint_sees_captured_variables_dicts_and_several_outputs():
    captured = Variable(2 * X)

    def inside(tape, variables, scale):
        y = tape.call(multiply, multiply_vjp, variables["w"], captured)
        return tape.call(halves, halves_vjp, tape.call(multiply, multiply_vjp, y, scale * X))

    tape, w = Tape(), Variable(X.copy())
    _, second = tape.checkpoint(inside, {"w": w}, scale=3.0)
    tape.backward(tape.call(total, total_vjp, second))
    mask = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(w.gradient, 6 * X**2 * mask)
    np.testing.assert_allclose(captured.gradient, 3 * X**2 * mask)


def test_residuals_are_freed_as_the_tape_unwinds_and_values_before():
    alive: list[weakref.ref] = []
    seen: list[int] = []

    class Kept(np.ndarray):
        pass

    def op(x):
        kept = x.copy().view(Kept)
        alive.append(weakref.ref(kept))
        return x * 1.0, kept

    def op_vjp(dout, kept):
        seen.append(sum(r() is not None for r in alive))
        return (dout,)

    tape, x = Tape(), Variable(X.copy())
    y = x
    middle = None
    for k in range(4):
        y = tape.call(op, op_vjp, y)
        if k == 1:
            middle = weakref.ref(y.value)
    gc.collect()
    assert middle() is None, "a value that no residual needs is freed during the forward pass"
    tape.backward(y, np.ones(4))
    assert seen == [4, 3, 2, 1]
    assert all(r() is None for r in alive)


def test_shared_gradients_are_not_changed_in_place():
    def add(a, b):
        return a + b, None

    def add_vjp(dout, _):
        return dout, dout

    tape, a, b = Tape(), Variable(X.copy()), Variable(X.copy())
    s = tape.call(add, add_vjp, a, b)
    s = tape.call(add, add_vjp, s, a)
    s = tape.call(add, add_vjp, s, a)
    dout = np.ones(4)
    tape.backward(s, dout)
    np.testing.assert_array_equal(a.gradient, 3 * np.ones(4))
    np.testing.assert_array_equal(b.gradient, np.ones(4))
    np.testing.assert_array_equal(dout, np.ones(4))


def test_complex_gradients():
    z = Variable(X + 1j * X[::-1])

    def energy(x):
        return (x * x.conj()).real.sum(), x

    def energy_vjp(dout, x):
        return (2 * dout * x,)

    tape = Tape()
    tape.backward(tape.call(energy, energy_vjp, tape.call(multiply, multiply_vjp, z, 2j * np.ones(4))))
    np.testing.assert_allclose(z.gradient, 8 * z.value)
    assert z.gradient.dtype == np.complex128


def test_wrong_gradients_name_their_vjp():
    for wrong, error, message in (
        (lambda x: x.astype("f8"), DTypeError, "bad_vjp returned .* dtype float64; expected .* float32"),
        (lambda x: x[:1], ShapeError, r"bad_vjp returned a gradient of shape \(1,\) .*; expected \(4,\)"),
    ):

        def bad_vjp(dout, _, wrong=wrong):
            return (wrong(dout),)

        tape, x = Tape(), Variable(X.astype("f4"))
        y = tape.call(lambda v: (v, None), bad_vjp, x)
        with pytest.raises(error, match=message):
            tape.backward(y, np.ones(4, "f4"))


def test_bad_uses():
    with pytest.raises(DTypeError, match="int64; expected an array of real or complex"):
        Variable(np.arange(3))
    with pytest.raises(DTypeError, match="float'"):
        Variable(1.5)
    with pytest.raises(InvalidValueError, match="needs dout"):
        Tape().backward(Variable(X))
    with pytest.raises(InvalidValueError, match="plain array"):
        Tape().backward(X)


def test_value_and_gradients():
    def loss(tape, v):
        return tape.call(total, total_vjp, tape.call(multiply, multiply_vjp, v["a"], v["b"]))

    parameters = {"a": X, "b": X + 1, "unused": X.astype("f4")}
    value, gradients = value_and_gradients(loss, parameters)
    assert value == pytest.approx((X * (X + 1)).sum())
    np.testing.assert_array_equal(gradients["a"], X + 1)
    np.testing.assert_array_equal(gradients["unused"], np.zeros(4, "f4"))
    assert {n: g.dtype for n, g in gradients.items()} == {n: p.dtype for n, p in parameters.items()}
