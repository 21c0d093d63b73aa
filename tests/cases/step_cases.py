"""Cases of the kernels of nn/steps.cu: what a training step asks of a device, and the same in array calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import sci
from sci.nn.fused_losses import relative_loss, relative_slope, relative_sums
from sci.nn.optim.parts import PARTS, adam_parts
from sci.operators.spectral.mixing import mix_backward, mix_synthesize
from sci.tensor.contraction.outer_sums import outer_sums

Pair = tuple[np.ndarray, np.ndarray]
GRIDS = (((1, 1), (4, 2)), ((3, 2), (5, 2)), ((4, 3), (33, 6)), ((2, 3, 2), (4, 5, 7)), ((5, 5), (64, 8)))
"""Kept modes and grids: a column that stands alone at the end, more than a chunk of points, three axes."""


def _both(run: Callable[[], list[np.ndarray]]) -> Iterator[Pair]:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        expected = run()
    yield from zip(found, expected, strict=True)


def _complex(rng: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    return rng.normal(size=(*shape, 2)).astype(dtype).view(f"c{2 * int(dtype[1])}")[..., 0]


def adam(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """Empty parts, parts of one number, of more than a chunk; more than a launch takes, and one that overflows."""
    settings = np.array((0.9, 0.99, 1 - 0.9**3, (1 - 0.99**3) ** 0.5, 1e-8, 0.01, 0.999, 0.1))
    for sizes in ((1,), (0, 3, 70), (300, 64, 1, 2000), range(1, PARTS + 7)):
        arrays = [rng.normal(size=(4, n)).astype(dtype) for n in sizes]
        arrays[-1][1, 0] = np.inf if len(sizes) == 3 else arrays[-1][1, 0]

        def run(arrays=arrays) -> list[np.ndarray]:
            own = [(w.copy(), g, m.copy(), np.abs(v)) for w, g, m, v in arrays]
            odd = adam_parts([(*part, 0.5 + k) for k, part in enumerate(own)], settings)
            return [odd, *(np.nan_to_num(a) for w, _, m, v in own for a in (w, m, v))]

        yield from _both(run)


def relative(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """Rows below, at and above a piece; a perfect prediction, an empty target with and without a scale for it."""
    for shape in ((1, 1, 1), (3, 2, 5, 7), (2, 1, 1024), (17, 1, 1025)):
        p, y = rng.normal(size=(2, *shape)).astype(dtype)
        p[0, 0] = y[0, 0]
        y[-1, -1] = 0
        for zero in (0.7, None) if len(shape) == 4 else (0.7,):

            def run(p=p, y=y, zero=zero) -> list[np.ndarray]:
                loss, weights, odd = relative_loss(relative_sums(p, y), 0.25, zero)
                slope = relative_slope(p, y, weights, np.array(1.5, dtype))
                return [np.nan_to_num(a, nan=9.0, posinf=9.0) for a in (loss.reshape(1), weights, odd, slope)]

            yield from _both(run)


def outer(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """Two and three products below, at and above a tile and a piece of points."""
    for batch, points, sides in (
        (1, 1, ((1, 1), (1, 1))),
        (2, 17, ((3, 5), (33, 2))),
        (1, 512, ((32, 32), (32, 16), (16, 32))),
        (3, 700, ((4, 40), (4, 7), (9, 1))),
    ):
        scale = points**-0.5  # sums of many numbers stay near 1
        pairs = [tuple((rng.normal(size=(batch, c, points)) * scale).astype(dtype) for c in side) for side in sides]
        for diagonal in (False, True):
            if diagonal and sides[1][0] > sides[0][1]:
                continue
            yield from _both(lambda pairs=pairs, diagonal=diagonal: outer_sums(pairs, diagonal=diagonal))


def mixed(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """The way out: few and many channels on all grids."""
    for kept, grid in GRIDS:
        for batch, ins, outs in ((1, 1, 1), (2, 3, 5), (3, 33, 9)):
            x, w = _complex(rng, dtype, *kept, batch, ins), _complex(rng, dtype, *kept, ins, outs)
            bias = rng.normal(size=outs).astype(dtype)
            yield from _both(lambda x=x, w=w, bias=bias, n=grid[0]: [mix_synthesize(x, w, bias, n)])


def mixed_back(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """The way back."""
    for kept, grid in GRIDS:
        for batch, ins, outs in ((1, 1, 1), (2, 3, 5), (3, 33, 9)):
            x, w = _complex(rng, dtype, *kept, batch, ins), _complex(rng, dtype, *kept, ins, outs)
            dout = _complex(rng, dtype, *kept, batch, outs)
            yield from _both(lambda given=(x, dout, w, grid): list(mix_backward(*given)))


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "adam_parts": adam,
    "relative_sums": relative,
    "relative_loss": relative,
    "relative_slope": relative,
    "outer_sums": outer,
    "mix_synthesize": mixed,
    "mix_backward": mixed_back,
}
