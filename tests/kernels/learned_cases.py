"""Seeded inputs for the kernels of the learned solvers: convolutions and the learned V-cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import sci
from sci.nn.convolution import _convolved, _weight_gradient

Pair = tuple[np.ndarray, np.ndarray]

CONVOLUTIONS = (
    (1, 1, 1, (1, 1, 1)),
    (1, 2, 3, (3, 1, 5)),
    (2, 3, 4, (2, 4, 16)),
    (1, 1, 5, (4, 2, 17)),
    (3, 4, 8, (3, 3, 32)),
    (1, 5, 1, (2, 2, 70)),
)
"""Batch, inputs, outputs and grid: outputs around a group of four, rows around a block."""


def _both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


def _convolve(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for batch, inputs, outputs, shape in CONVOLUTIONS:
        x, bias = rng.normal(size=(batch, inputs, *shape)).astype(dtype), rng.normal(size=outputs).astype(dtype)
        weight = rng.normal(size=(outputs, inputs, 3, 3, 3)).astype(dtype)
        yield _both(lambda x=x, weight=weight, bias=bias: _convolved(x, weight, bias))


def _convolve_weights(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for batch, inputs, outputs, shape in CONVOLUTIONS:
        x, dout = (rng.normal(size=(batch, c, *shape)).astype(dtype) for c in (inputs, outputs))
        yield _both(lambda x=x, dout=dout: _weight_gradient(x, dout))


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {"convolve": _convolve, "convolve_weights": _convolve_weights}
