"""The tape: composition, reuse, several outputs, freeing, checkpoints, dtypes, complex arrays."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from gradients import assert_vjp

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Op, Tape, Variable, checkpoint, op, value_and_gradients


def _multiply_vjp(dout, residuals):
    a, b = residuals
    return dout * np.conj(b), dout * np.conj(a)


@op(vjp=_multiply_vjp)
def multiply(a, b):
    return a * b, (a, b)


def _total_vjp(dout, shape):
    return (np.broadcast_to(dout, shape),)


@op(vjp=_total_vjp)
def total(x):
    return x.sum(), x.shape


def _halves_vjp(dout, residuals):
    shape, dtype, n = residuals
    gradient = np.zeros(shape, dtype)
    for part, d in zip((gradient[:n], gradient[n:]), dout):
        if d is not None:
            part[...] = d
    return (gradient,)


@op(vjp=_halves_vjp)
def halves(x):
    n = len(x) // 2
    return (x[:n], x[n:]), (x.shape, x.dtype, n)


def cube(x):
    return multiply(x, multiply(x, x))


X = np.array([1.0, -2.0, 3.0, 0.5])


def test_a_variable_used_three_times():
    x = Tape().watch(X.copy())
    total(cube(x)).backward()
    np.testing.assert_allclose(x.gradient, 3 * X**2, rtol=1e-15)


def test_the_example_ops():
    assert_vjp(multiply, [X, X + 1])
    assert_vjp(multiply, [X + 1j, X - 2j])
    assert_vjp(halves, [X])


@pytest.mark.parametrize("wrong", [lambda d, r: (d, d), lambda d, r: (d * r[1], 1.001 * d * r[0])])
def test_the_check_sees_a_wrong_vjp(wrong):
    with pytest.raises(AssertionError, match="differences"):
        assert_vjp(Op(multiply.forward, wrong), [X, X + 1])


def test_several_outputs_one_unused():
    x = Tape().watch(X.copy())
    first, _ = halves(x)
    total(first).backward()
    np.testing.assert_array_equal(x.gradient, [1, 1, 0, 0])


def test_an_output_may_be_missing():
    def vjp(dout, _):
        assert dout[1] is None
        return (dout[0],)

    x = Tape().watch(X.copy())
    first, second = Op(lambda x: ((x * 1, None), None), vjp)(x)
    assert second is None
    first.backward(X)
    np.testing.assert_array_equal(x.gradient, X)


def test_plain_arrays_are_not_recorded():
    assert type(cube(X)) is np.ndarray
    assert type(checkpoint(cube, X)) is np.ndarray


def test_constants_get_no_gradient_and_unused_variables_none():
    x, y = Tape().watch([X.copy(), X.copy()])
    total(multiply(x, X)).backward()
    np.testing.assert_array_equal(x.gradient, X)
    assert y.gradient is None


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


def test_residuals_are_freed_as_the_tape_unwinds_and_values_before():
    alive: list[weakref.ref] = []
    seen: list[int] = []

    class Kept(np.ndarray):
        pass

    def forward(x):
        kept = x.copy().view(Kept)
        alive.append(weakref.ref(kept))
        return x * 1.0, kept

    def vjp(dout, kept):
        seen.append(sum(r() is not None for r in alive))
        return (dout,)

    copy = Op(forward, vjp)
    y = Tape().watch(X.copy())
    middle = None
    for k in range(4):
        y = copy(y)
        if k == 1:
            middle = weakref.ref(y.value)
    gc.collect()
    assert middle() is None, "a value that no residual needs is freed during the forward pass"
    y.backward(np.ones(4))
    assert seen == [4, 3, 2, 1]
    assert all(r() is None for r in alive)


def test_shared_gradients_are_not_changed_in_place():
    add = Op(lambda a, b: (a + b, None), lambda dout, _: (dout, dout))
    a, b = Tape().watch([X.copy(), X.copy()])
    s = add(add(add(a, b), a), a)
    dout = np.ones(4)
    s.backward(dout)
    np.testing.assert_array_equal(a.gradient, 3 * np.ones(4))
    np.testing.assert_array_equal(b.gradient, np.ones(4))
    np.testing.assert_array_equal(dout, np.ones(4))


def test_complex_gradients():
    z = Tape().watch(X + 1j * X[::-1])
    energy = Op(lambda x: ((x * x.conj()).real.sum(), x), lambda dout, x: (2 * dout * x,))
    energy(multiply(z, 2j * np.ones(4))).backward()
    np.testing.assert_allclose(z.gradient, 8 * z.value)
    assert z.gradient.dtype == np.complex128


def test_wrong_gradients_name_their_op():
    def bad(v):
        return v, None

    for wrong, error, message in (
        (
            lambda d: (d.astype("f8"),),
            DTypeError,
            r"<op bad\(v\)> returned .* float64; expected .* float32",
        ),
        (lambda d: (d[:1],), ShapeError, r"<op bad\(v\)> returned a gradient of shape \(1,\) .*; expected \(4,\)"),
        (lambda d: (), ShapeError, "0 gradients for 1 arguments"),
        (lambda d: (d, d), ShapeError, "2 gradients for 1 arguments"),
    ):
        x = Tape().watch(X.astype("f4"))
        y = Op(bad, lambda dout, _, wrong=wrong: wrong(dout))(x)
        with pytest.raises(error, match=message):
            y.backward(np.ones(4, "f4"))


def test_bad_uses():
    tape = Tape()
    with pytest.raises(DTypeError, match="int64; expected an array of real or complex"):
        tape.watch(np.arange(3))
    with pytest.raises(DTypeError, match="float'"):
        tape.watch(1.5)
    with pytest.raises(InvalidValueError, match="without dout"):
        tape.watch(X).backward()
    with pytest.raises(InvalidValueError, match="a ndarray; expected a variable"):
        value_and_gradients(lambda v: X, {"x": X})


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


def test_variables_print_without_numbers():
    x = Tape().watch(X)
    assert repr(x) == "Variable(shape=(4,), dtype=float64)"
    assert repr(cube(x).tape) == "Tape(2 steps)"
    assert isinstance(x, Variable)
