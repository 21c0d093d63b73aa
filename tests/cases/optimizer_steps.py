"""Steps of an optimizer on given gradients."""

from __future__ import annotations


def steps_of(optimizer, w0: dict, gradient, n: int, factor: float = 1.0) -> dict:
    w = {k: v.copy() for k, v in w0.items()}
    state = optimizer.start(w)
    for step in range(1, n + 1):
        optimizer.update(w, gradient(w, step), state, step, factor)
    return w
