"""Seeded inputs for the kernels of convolutions: axes, strides, dilations, groups, rows around a vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import sci
from sci.nn import convolve, separable_conv
from sci.nn.grids.correlate import Weights, join_phases
from sci.nn.grids.padded import pad_grid

Pair = tuple[np.ndarray, np.ndarray]

CALLS: tuple[tuple[int, int, int, tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    (1, 1, 1, (1, 1, 1), (3, 3, 3), {}),
    (2, 2, 1, (3, 1, 5), (3, 1, 2), {"padding": 1}),
    (1, 3, 2, (4, 6), (3, 3), {"dilation": (1, 2), "boundary": "periodic"}),
    (2, 4, 1, (5, 9, 16), (2, 3, 1), {"stride": (2, 3, 1)}),
    (1, 11, 1, (2, 2, 70), (1, 1, 4), {"stride": (1, 1, 2), "padding": (0, 0, (3, 1))}),
    (3, 2, 3, (130,), (5,), {"dilation": 3, "stride": 2}),
    (1, 9, 1, (33, 34), (3, 3), {}),
    (2, 3, 1, (4, 16), (1, 1), {}),
    (1, 2, 1, (4, 16), (3, 3), {"padding": 0}),
)
"""Batch, inputs of a group, groups, grid, taps and options: more pairs of channel and tap than a tile, short rows."""

OUTPUTS = {1: (1,), 2: (2,), 4: (3, 4), 8: (5, 8, 9)}
"""Outputs of a group for each width of a tile."""


def _both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


def _given(rng: np.random.Generator, dtype: str, outputs: int, call: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    batch, inputs, groups, grid, taps, _ = call
    x = rng.normal(size=(batch, groups * inputs, *grid)).astype(dtype)
    weight = rng.normal(size=(groups * outputs, inputs, *taps)).astype(dtype)
    return x, weight, rng.normal(size=groups * outputs).astype(dtype)


def _convolve(rng: np.random.Generator, dtype: str, tile: int) -> Iterator[Pair]:
    for outputs in OUTPUTS[tile]:
        for call in CALLS:
            x, weight, bias = _given(rng, dtype, outputs, call)
            options = {**call[-1], "groups": call[2]}
            yield _both(lambda x=x, weight=weight, bias=bias, options=options: convolve(x, weight, bias, **options))


def _convolve_weights(rng: np.random.Generator, dtype: str, tile: int) -> Iterator[Pair]:
    for outputs in (1,) if tile == 1 else (2, 4, 7):
        for call in CALLS:
            x, weight, bias = _given(rng, dtype, outputs, call)
            out, kept = convolve.forward(x, weight, bias, **call[-1], groups=call[2])
            dout = rng.normal(size=out.shape).astype(dtype)
            yield _both(lambda dout=dout, kept=kept: convolve.vjp(dout, kept)[1])


def _pad_phases(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """Margins of zeros, cuts, wraps several times around, and phases of each stride."""
    for shape, low, lengths, stride, phases, periodic in (
        ((1, 2, 1, 1, 1), (0, 0, 0), (1, 1, 1), (1, 1, 1), (1, 1, 1), False),
        ((2, 3, 4, 5, 17), (1, 2, 3), (7, 9, 23), (1, 1, 1), (1, 1, 1), False),
        ((1, 2, 4, 5, 40), (-1, 0, -7), (2, 9, 30), (1, 1, 1), (1, 1, 1), False),
        ((2, 1, 5, 6, 33), (2, 0, 5), (4, 3, 20), (2, 3, 2), (2, 3, 2), False),
        ((1, 3, 3, 2, 5), (4, 3, 11), (9, 8, 29), (1, 1, 1), (1, 1, 1), True),
        ((2, 1, 3, 4, 5), (1, 6, 2), (3, 4, 6), (2, 1, 3), (2, 1, 2), True),
    ):
        x = rng.normal(size=shape).astype(dtype)
        given = (x, low, lengths, stride, phases, periodic)
        yield _both(lambda given=given: pad_grid(*given).array)


def _join_phases(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for grid, stride in (
        ((1, 1, 2), (1, 1, 2)),
        ((4, 5, 33), (1, 2, 2)),
        ((3, 4, 17), (2, 3, 3)),
        ((5, 4, 6), (2, 2, 1)),
        ((2, 1, 1), (4, 1, 2)),
    ):
        phases = tuple(min(s, n) for s, n in zip(stride, grid))
        lengths = tuple(-(-n // s) + k for k, (n, s) in enumerate(zip(grid, stride)))
        parts = rng.normal(size=(int(np.prod(phases)), 2, 3, *lengths)).astype(dtype)
        yield _both(lambda given=(parts, phases, grid, stride): join_phases(*given))


def _separable(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """One to three axes, even taps, grids shorter than the taps, and rows longer than a tile."""
    for shape, taps, boundary in (
        ((1, 1, 1), (3,), "zeros"),
        ((2, 2, 3, 17), (3, 3), "zeros"),
        ((1, 3, 5, 4, 6), (3, 2, 5), "periodic"),
        ((2, 1, 2, 2, 3), (5, 1, 7), "periodic"),
        ((1, 2, 2, 1100), (2, 4), "periodic"),
        ((1, 2, 3, 1030), (1, 6), "zeros"),
    ):
        x = rng.normal(size=shape).astype(dtype)
        filters = [rng.normal(size=(shape[1], k)).astype(dtype) for k in taps]
        yield _both(lambda x=x, filters=filters, boundary=boundary: separable_conv(x, *filters, boundary=boundary))


def _pack_weights(rng: np.random.Generator, dtype: str, tile: int) -> Iterator[Pair]:
    for outputs in OUTPUTS[tile]:
        for groups, inputs, taps in ((1, 1, 1), (2, 3, 5), (1, 4, 27), (3, 2, 9), (1, 17, 2)):
            for shape, transposed in (((outputs, inputs), False), ((inputs, outputs), True)):
                weight = rng.normal(size=(groups, *shape, taps)).astype(dtype)
                yield _both(lambda w=weight, transposed=transposed: Weights(w, None, transposed).tiles)


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "convolve": _convolve,
    "convolve_weights": _convolve_weights,
    "pad_phases": _pad_phases,
    "join_phases": _join_phases,
    "pack_weights": _pack_weights,
    "separable": _separable,
}
