"""The tape: composition, reuse, several outputs, freeing, checkpoints, dtypes, complex arrays."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from example_ops import cube, halves, multiply, total
from gradients import assert_vjp

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Op, Tape, Variable, checkpoint, linear, value_and_gradients

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
    with pytest.raises(InvalidValueError, match="an ndarray; expected a variable"):
        value_and_gradients(lambda v: X, {"x": X})


def test_variables_print_without_numbers():
    x = Tape().watch(X)
    assert repr(x) == "Variable(shape=(4,), dtype=float64)"
    assert repr(cube(x).tape) == "Tape(2 steps)"
    assert isinstance(x, Variable)


OPERATIONS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
@pytest.mark.parametrize("other", [X[::-1].copy(), 2.5, 3, np.float64(1.5), np.array([[1.0], [2.0]])], ids=str)
def test_arithmetic_with_arrays_and_numbers_on_either_side(operation, other):
    for swapped in (False, True):
        f = (lambda a, b: operation(b, a)) if swapped else operation
        x = Tape().watch(X)
        y = f(x, other)
        np.testing.assert_array_equal(y.value, f(X, other))
        dout = np.cos(np.arange(y.size)).reshape(y.shape)
        y.backward(dout)
        for k in range(4):
            step = np.zeros(4)
            step[k] = 1e-6
            expected = ((f(X + step, other) - f(X - step, other)) * dout).sum() / 2e-6
            assert x.gradient[k] == pytest.approx(expected, rel=1e-8)


def test_numbers_keep_single_precision():
    x = Tape().watch(X.astype("f4"))
    for y in (2 * x, x + 1.5, 1 - x, x / 3, x**2, -x, x * np.ones(4, "f4")):
        assert y.dtype == np.float32
    assert (1j * x).dtype == np.complex64


def test_products_powers_indices_and_methods():
    a, b = np.arange(6.0).reshape(2, 3) + 1, np.arange(12.0).reshape(3, 4)

    def function(v, w):
        product = (v @ w) ** 2
        part = product[:, 1:3].T.reshape(4)
        return (
            part.sum()
            + product.mean()
            + (-v)[0, 0]
            + v[np.array([0, 0])].sum()
            + (np.ones((5, 2)) @ v).mean(axis=0).sum()
        )

    v, w = Tape().watch([a, b])
    out = function(v, w)
    assert float(out.value) == pytest.approx(float(function(a, b)))
    out.backward()
    for variable, array, k in ((v, a, 0), (w, b, 1)):
        for index in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = [a.copy(), b.copy()]
                moved[k][index] += sign * 1e-6
                ends.append(function(*moved))
            assert variable.gradient[index] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-6)


def test_rows_of_a_variable_can_be_looped_over():
    x = Tape().watch(np.arange(6.0).reshape(3, 2))
    assert len(x) == 3
    sum_of_rows = [row.sum() for row in x]
    (sum_of_rows[0] + 2 * sum_of_rows[2]).backward()
    np.testing.assert_array_equal(x.gradient, [[1, 1], [0, 0], [2, 2]])


def test_comparisons_and_numpy_functions_are_refused_with_the_way_out():
    x = Tape().watch(X)
    for use in (lambda: x > 0, lambda: x == x, lambda: bool(x), lambda: x <= X, lambda: x > X):
        with pytest.raises((DTypeError, TypeError), match=r"variable\.value|not supported|__array_ufunc__"):
            use()
    for use in (lambda: np.concatenate([x, x]), lambda: np.asarray(x), lambda: np.mean(x[None])):
        with pytest.raises(DTypeError, match=r"variable\.value"):
            use()
    with pytest.raises(TypeError, match="__array_ufunc__"):
        np.exp(x)


def test_shapes_sizes_and_single_entries():
    x = Tape().watch(X)
    assert (x.shape, x.ndim, x.size, x.dtype) == ((4,), 1, 4, np.float64)
    assert x[1].shape == ()
    assert x.reshape(2, 2).shape == x.reshape((2, -1)).shape == x.reshape(np.int64(2), np.int64(2)).shape == (2, 2)
    assert x.sum(0).shape == ()
    assert x.reshape(2, 2).sum(axis=1, keepdims=True).shape == (2, 1)


def test_big_endian_arrays_are_refused():
    with pytest.raises(DTypeError, match=r">f8; expected .* byte order"):
        Tape().watch(X.astype(">f8"))


def network(tape, late):
    """A chain with weights that enter products, a sum, another op, a checkpoint, and a weight used twice."""
    rng = np.random.default_rng(0)
    x = tape.watch(rng.normal(size=(5, 4)))
    v = tape.watch({k: rng.normal(size=(4, 4)) for k in "abc"} | {"bias": rng.normal(size=4)}, late=late)
    y = linear(x, v["a"], v["bias"])
    y = y * cube(v["c"])[0] + v["bias"]
    y = checkpoint(lambda y: linear(cube(y), v["a"] * v["b"]), y)
    return x, v, (y @ v["b"]).sum()


def test_gradients_of_weights_may_come_later():
    x, v, y = network(Tape(), False)
    y.backward()
    late_x, late, out = network(Tape(), True)
    rest = out.backward_of_inputs()
    np.testing.assert_array_equal(late_x.gradient, x.gradient)
    assert late["c"].gradient is None, "a variable that is computed from weights alone waits with them"
    rest()
    for name, variable in v.items():
        np.testing.assert_allclose(late[name].gradient, variable.gradient, rtol=1e-13)
    np.testing.assert_array_equal(late["c"].gradient, v["c"].gradient)
    rest()  # there is nothing left
    np.testing.assert_array_equal(late["c"].gradient, v["c"].gradient)


def test_every_part_of_the_work_is_done_once():
    """The products of the chain run first, and those of the weights later; a constant costs none."""
    asked = []

    def vjp(dout, residuals, *, wanted=(True, True)):
        asked.append(wanted)
        return tuple(d if w else None for d, w in zip(multiply.vjp(dout, residuals), wanted))

    split = Op(multiply.forward, vjp)
    for late, first, second in ((False, [(True, True)], []), (True, [(True, False)], [(False, True)])):
        tape, asked[:] = Tape(), []
        x, w = tape.watch(X.copy()), tape.watch(X + 1, late=late)
        rest = split(x, w).backward_of_inputs(np.ones(4))
        assert asked == first
        rest()
        assert asked == first + second
        np.testing.assert_array_equal(x.gradient, X + 1)
        np.testing.assert_array_equal(w.gradient, X)
    asked[:] = []
    x = Tape().watch(X.copy())
    split(x, X).backward(np.ones(4))
    assert asked == [(True, False)]


def test_what_waits_is_freed_as_it_is_done():
    class Kept(np.ndarray):
        pass

    alive: list[weakref.ref] = []

    def forward(x, w):
        kept = x.copy().view(Kept)
        alive.append(weakref.ref(kept))
        return x * w, (kept, w)

    def vjp(dout, residuals, *, wanted=(True, True)):
        return tuple(d if w else None for d, w in zip(multiply.vjp(dout, residuals), wanted))

    product, tape = Op(forward, vjp), Tape()
    x, w = tape.watch(X.copy()), tape.watch([X + k for k in range(3)], late=True)
    for weight in w:
        x = product(x, weight)
    rest = x.backward_of_inputs(np.ones(4))
    assert sum(r() is not None for r in alive) == 3
    rest()
    del rest
    assert [r() for r in alive] == [None] * 3
