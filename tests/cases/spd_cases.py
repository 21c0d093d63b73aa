"""Positive definite matrices, and derivatives in symmetric directions against differences of fourth order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sci.nn import Tape

Function = Callable[..., Any]


def symmetric(a: np.ndarray) -> np.ndarray:
    return (a + a.swapaxes(-1, -2)) / 2


def spd(rng: np.random.Generator, *shape: int, condition: float = 10.0) -> np.ndarray:
    """Matrices (*shape, shape[-1]) with log-uniform eigenvalues, the extreme ones `condition` apart."""
    n = shape[-1]
    q = np.linalg.qr(rng.normal(size=(*shape, n)))[0]
    logs = rng.uniform(-0.5, 0.5, shape)
    logs[..., 0], logs[..., -1] = 0.5, -0.5
    return symmetric(q * condition ** logs[..., None, :] @ q.swapaxes(-1, -2))


def root(x: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(x)
    return symmetric(vectors * np.sqrt(values)[..., None, :] @ vectors.swapaxes(-1, -2))


def squared_distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bures-Wasserstein, from singular values: tr X + tr Y - 2 |X^1/2 Y^1/2|_nuclear."""
    nuclear = np.linalg.svd(root(x) @ root(y), compute_uv=False).sum(axis=-1)
    return np.trace(x, axis1=-2, axis2=-1) + np.trace(y, axis1=-2, axis2=-1) - 2 * nuclear


def difference(value: Callable[[float], float], step: float) -> float:
    """The derivative at 0 by central differences of fourth order."""
    near, far = value(step) - value(-step), value(2 * step) - value(-2 * step)
    return (8 * near - far) / (12 * step)


def errors(function: Function, args: Sequence[np.ndarray], step: float = 1e-4, relative: bool = False) -> list[float]:
    """Relative errors of the gradient of each argument along a random symmetric direction.

    With `relative` the change of a matrix X is X^1/2 E X^1/2, which ill-conditioned matrices bear.
    """
    rng = np.random.default_rng(11)
    out = function(*args)
    square = out.ndim > 1 and out.shape[-1] == out.shape[-2]
    dout = symmetric(rng.normal(size=out.shape)) if square else rng.normal(size=out.shape)
    variables = Tape().watch(list(args))
    function(*variables).backward(dout)
    found = []
    for k, x in enumerate(args):
        change = rng.normal(size=x.shape)
        if x.ndim > 1 and x.shape[-1] == x.shape[-2]:
            change = symmetric(change)
            change = symmetric(root(x) @ change @ root(x)) if relative else change
        gradient = variables[k].gradient

        def value(h: float, k: int = k, change: np.ndarray = change) -> float:
            return float((function(*args[:k], args[k] + h * change, *args[k + 1 :]) * dout).sum())

        expected, scale = difference(value, step), 1e-2 * np.linalg.norm(gradient) * np.linalg.norm(change)
        found.append(abs(float((gradient * change).sum()) - expected) / max(abs(expected), scale))
    return found
