"""Every op: central differences, dtypes; calls on arrays and variables, options, two tapes, pickles, prints."""

from __future__ import annotations

import contextlib
import copy
import pickle

import numpy as np
import pytest
from gradients import assert_vjp
from op_cases import OPS, SYMMETRIC

import sci.nn as P
from sci.errors import InvalidValueError, SciError
from sci.nn import Op, Tape, op

IDS = [f"{k}-{name}" for k, (name, _, _) in enumerate(OPS)]


@pytest.mark.parametrize(("name", "args", "options"), OPS, ids=IDS)
def test_vjp_against_central_differences(name, args, options):
    assert_vjp(getattr(P, name), args, symmetric=name in SYMMETRIC, **options)


def test_every_op_has_a_case():
    assert {name for name, _, _ in OPS} == {n for n in P.__all__ if isinstance(getattr(P, n), P.Op)}
    assert not [n for n in P.__all__ if n.endswith("_vjp")]


def single(value):
    if not isinstance(value, np.ndarray):
        return value
    return value.astype({"f": "f4", "c": "c8", "i": "i8", "b": "?"}[value.dtype.kind])


@pytest.mark.parametrize(("name", "args", "options"), OPS, ids=IDS)
def test_single_precision_stays_single(name, args, options):
    op = getattr(P, name)
    args, options = [single(a) for a in args], {k: single(v) for k, v in options.items()}
    out, residuals = op.forward(*args, **options)
    assert out.dtype.itemsize == (4 if out.dtype.kind == "f" else 8)
    for a, gradient in zip(args, op.vjp(np.ones_like(out), residuals)):
        assert gradient is None or gradient.dtype == a.dtype
    kept = residuals if isinstance(residuals, tuple) else (residuals,)
    arrays = [r for r in kept if isinstance(r, np.ndarray) and r.dtype in ("f8", "c16")]
    assert [r.shape for r in arrays if 2 * r.size > out.size] == [], "a number for each row may be double, no field"


def _scaled_vjp(dout, residuals):
    x, factor = residuals
    return factor * dout, (x * dout).sum()


@op(vjp=_scaled_vjp, value=lambda x, factor, *, shift=0.0: x * factor + shift)
def scaled(x, factor, *, shift=0.0):
    """Return x factor + shift."""
    return x * factor + shift, (x, factor)


X = np.array([1.0, -2.0, 3.0])


def test_an_op_is_called_on_arrays_and_on_variables():
    np.testing.assert_array_equal(scaled(X, 2.0, shift=1.0), 2 * X + 1)
    x = Tape().watch(X)
    y = scaled(x, 2.0, shift=1.0)
    np.testing.assert_array_equal(y.value, 2 * X + 1)
    y.backward(X)
    np.testing.assert_array_equal(x.gradient, 2 * X)


def test_positional_arguments_given_by_name_are_differentiated():
    x, w = Tape().watch([X, np.ones((2, 3))])
    P.linear(x, weight=w).backward(np.ones(2))
    np.testing.assert_array_equal(w.gradient, [X, X])
    np.testing.assert_array_equal(x.gradient, [2, 2, 2])


def test_options_and_two_tapes_are_refused():
    x = Tape().watch(X)
    with pytest.raises(InvalidValueError, match=r"option shift of <op scaled\(x, factor, shift\)> is a variable"):
        scaled(X, 2.0, shift=x)
    with pytest.raises(InvalidValueError, match="variables of two tapes"):
        P.add(x, Tape().watch(X))


def test_an_op_keeps_its_name_and_docstring_and_prints_its_arguments():
    assert (scaled.__name__, scaled.__doc__) == ("scaled", "Return x factor + shift.")
    assert repr(P.einsum) == "<op einsum(subscripts, *operands)>"


def test_ops_of_modules_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(P.gelu)) is P.gelu
    assert copy.deepcopy(P.gelu) is P.gelu


def test_the_value_alone_is_used_where_nothing_is_recorded():
    calls = []

    def value(x):
        calls.append("value")
        return x * 1.0

    def forward(x):
        calls.append("forward")
        return x * 1.0, None

    same = Op(forward, lambda dout, _: (dout,), value)
    same(X)
    x = Tape().watch(X)
    out = P.checkpoint(same, x)
    assert calls == ["value", "value"]
    out.backward(X)
    assert calls == ["value", "value", "forward"]


ODD = (
    *(
        np.ones(()),
        np.ones(3),
        np.ones((2, 3)),
        np.ones((0, 3)),
        np.ones((2, 0)),
        np.ones((0, 3, 4)),
        np.ones((2, 3, 4)),
    ),
    *(np.arange(3), np.ones((2, 3), "f2"), np.ones((2, 3), ">f8"), np.ones((2, 3), complex), np.ones((2, 3, 4), "f4")),
)


@pytest.mark.parametrize("name", sorted({case[0] for case in OPS}))
def test_whatever_is_called_with_odd_arrays_works_or_raises_an_error_of_ours(name):
    """Zero axes, empty axes, integers, half precision, foreign byte order, shapes that do not fit, in every slot."""
    op = getattr(P, name)
    _, args, options = next(case for case in OPS if case[0] == name)
    slots = [k for k, a in enumerate(args) if isinstance(a, np.ndarray)]
    tried = [{k: odd} for k in slots for odd in ODD] + [dict.fromkeys(slots, odd) for odd in ODD]
    for changes in tried:
        given = [changes.get(k, a) for k, a in enumerate(args)]
        target = {"target": given[0]} if "target" in options else {}
        with contextlib.suppress(SciError), np.errstate(divide="ignore", invalid="ignore"):
            out, residuals = op.forward(*given, **{**options, **target})
            gradients = op.vjp(np.ones_like(out), residuals)
            for a, gradient in zip(given, gradients):
                assert gradient is None or gradient.shape == a.shape
