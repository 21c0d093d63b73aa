"""Small ops for tests of the tape."""

from __future__ import annotations

import numpy as np

from sci.nn import op


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
