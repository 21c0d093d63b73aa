"""Derivatives of ops against central differences in float64, real and complex."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sci.nn import Op, value_and_gradients


def _inner(a: Any, b: Any) -> float:
    """Re <a, b>, with which dL = Re(conj(gradient) * dx) holds for real and complex arrays."""
    return float(np.real(np.vdot(np.asarray(a), np.asarray(b))))


def _noise(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    noise = rng.normal(size=like.shape).astype(like.dtype)
    return noise + 1j * rng.normal(size=like.shape) if like.dtype.kind == "c" else noise


def assert_vjp(
    op: Op,
    args: Sequence[Any],
    rtol: float = 1e-6,
    step: float = 1e-5,
    directions: int = 3,
    symmetric: bool = False,
    **options: Any,
) -> None:
    """Compare Re <gradient, direction> with central differences for every float argument of an op.

    Also: gradients have the arguments' shape and dtype, and nothing that goes in is changed. With `symmetric`, square
    matrices move in symmetric directions alone.
    """
    rng = np.random.default_rng(3)
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    out, residuals = op.forward(*args, **options)
    several = isinstance(out, tuple)
    douts = tuple(_noise(rng, np.asarray(o)) for o in (out if several else (out,)))
    kept = [d.copy() for d in douts]
    gradients = op.vjp(douts if several else douts[0], residuals)
    assert len(gradients) >= len(args)
    assert all(g is None for g in gradients[len(args) :])
    for before, after in zip([*copies, *kept], [*args, *douts]):
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after, err_msg="an argument was changed in place")

    def value(*arrays: Any) -> float:
        found = op.forward(*arrays, **options)[0]
        return sum(_inner(d, o) for d, o in zip(douts, found if several else (found,)))

    for k, (arg, gradient) in enumerate(zip(args, gradients)):
        if not (isinstance(arg, np.ndarray) and arg.dtype.kind in "fc"):
            continue
        if gradient is None:
            continue
        assert gradient.shape == arg.shape, f"gradient {k}"
        assert gradient.dtype == arg.dtype, f"gradient {k}"
        for _ in range(directions):
            direction = _noise(rng, arg)
            if symmetric and arg.ndim > 1 and arg.shape[-1] == arg.shape[-2]:
                direction = (direction + direction.swapaxes(-1, -2)) / 2
            plus, minus = (value(*args[:k], arg + s * step * direction, *args[k + 1 :]) for s in (1.0, -1.0))
            expected, found = (plus - minus) / (2 * step), _inner(gradient, direction)
            scale = max(abs(expected), float(np.linalg.norm(gradient) * np.linalg.norm(direction)) * 1e-3, 1e-12)
            assert abs(found - expected) <= rtol * scale, f"argument {k}: vjp {found}, differences {expected}"


def assert_gradients(
    loss: Callable[[dict[str, Any]], Any], parameters: dict[str, np.ndarray], rtol: float = 1e-6, step: float = 1e-5
) -> None:
    """Compare the gradient of every parameter with a central difference of the loss along a random direction."""
    rng, (_, gradients) = np.random.default_rng(0), value_and_gradients(loss, parameters)
    for name, value in parameters.items():
        direction = _noise(rng, value)
        ends = [float(loss({**parameters, name: value + sign * step * direction})) for sign in (1, -1)]
        expected, found = (ends[0] - ends[1]) / (2 * step), _inner(gradients[name], direction)
        size = np.linalg.norm(gradients[name]) * np.linalg.norm(direction) + 1e-3
        assert abs(found - expected) < rtol * size, f"{name}: {found} against {expected}"
