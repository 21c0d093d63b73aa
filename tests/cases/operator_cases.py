"""Cases of the kernels of operators: the pointwise half of a block, forward and backward, and products of modes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import sci
from sci.operators.fno.perceptron import channel_mlp
from sci.operators.fno.pointwise import HOST_POINTS, BlockSpec, pointwise, pointwise_vjp
from sci.operators.spectral.weights import WeightFormat
from sci.tensor.contraction.products import mode_product, row_product

Pair = tuple[np.ndarray, np.ndarray]
SHAPES = ((1, 1), (3, HOST_POINTS - 1), (1, HOST_POINTS), (2, HOST_POINTS + 1), (2, 3 * HOST_POINTS + 5))


def _blocks(rng: np.random.Generator, dtype: str, width: int) -> Iterator[tuple]:
    """Yield x, v, parameters and what the block is, for whole and partial blocks of points and every kind of gate."""
    form = WeightFormat(width, width, (1,))
    shapes = {"skip": (width, width), "mlp_0": (width // 2, width), "mlp_0_bias": (width // 2,)}
    shapes.update({"mlp_1": (width, width // 2), "mlp_1_bias": (width,), "gate": (width,)})
    for batch, points in SHAPES:
        for mlp_skip, activate in (("soft-gating", True), ("identity", False), (None, True)):
            p = {name: (rng.normal(size=shape) / shape[-1] ** 0.5).astype(dtype) for name, shape in shapes.items()}
            if mlp_skip != "soft-gating":
                del p["gate"]
            x, v = rng.normal(size=(2, batch, width, points)).astype(dtype)
            yield x, v, p, BlockSpec(form, tuple(p), 0, "linear", mlp_skip, activate)


def _both(run: Callable[[], list[np.ndarray]]) -> Iterator[Pair]:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        expected = run()
    yield from zip(found, expected, strict=True)


def _forward(rng: np.random.Generator, dtype: str, width: int, hidden: int) -> Iterator[Pair]:
    for x, v, p, spec in _blocks(rng, dtype, width):
        for keep in (True, False):

            def run(x=x, v=v, p=p, spec=spec, keep=keep) -> list[np.ndarray]:
                before = v.copy()
                out, slope = pointwise(x, before, p, spec, keep)
                return [a for a in (out, slope, before if keep else None) if a is not None]

            yield from _both(run)
        for row in {1, 5, x.shape[2]}:
            if x.shape[2] % row == 0:
                yield from _both(partial(_from_rows, dtype, row, (x, v, p, spec)))


def _from_rows(dtype: str, row: int, block: tuple) -> list[np.ndarray]:
    """The block whose spectral convolution is the product of rows and waves, not read."""
    x, v, p, spec = block
    normal = np.random.default_rng(row).normal
    rows = (
        normal(size=(*v.shape[:2], v.shape[2] // row, 6)).astype(dtype),
        (normal(size=(6, row)) / 6**0.5).astype(dtype),
    )
    before = np.full_like(v, np.nan)
    out, slope = pointwise(x, before, p, spec, rows=rows)
    return [out, before] if slope is None else [out, before, slope]


def _backward(rng: np.random.Generator, dtype: str, width: int, hidden: int) -> Iterator[Pair]:
    for x, v, p, spec in _blocks(rng, dtype, width):
        dout, slope = rng.normal(size=(2, *v.shape)).astype(dtype)

        def run(x=x, v=v, p=p, spec=spec, dout=dout, slope=slope) -> list[np.ndarray]:
            dv, dx, sums = pointwise_vjp(dout, x, v, slope if spec.activate else None, p, spec)
            return [dv, dx, *sums.values()]

        yield from _both(run)


def _mlp(rng: np.random.Generator, dtype: str, inputs: int, hidden: int, outputs: int) -> Iterator[Pair]:
    for batch, points in SHAPES:
        for n, m in {(inputs, outputs), (min(inputs, 3), outputs), (inputs, min(outputs, 1))}:
            if (n < inputs and inputs > 4) or (m < outputs and outputs > 4):
                continue
            shapes = ((batch, n, points), (hidden, n), (hidden,), (m, hidden), (m,))
            arrays = [(rng.normal(size=s) / s[-1] ** 0.5 if len(s) < 3 else rng.normal(size=s)) for s in shapes]
            arrays = [a.astype(dtype) for a in arrays]
            dout = rng.normal(size=(batch, m, points)).astype(dtype)

            def run(arrays=arrays, dout=dout) -> list[np.ndarray]:
                out, residuals = channel_mlp.forward(*arrays)
                return [out, *channel_mlp.vjp(dout, residuals)]

            yield from _both(run)


def _rows(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for rows, terms, columns in ((1, 1, 1), (7, 5, 2), (8, 64, 18), (16, 18, 64), (43, 6, 33)):
        a, b = (rng.normal(size=s).astype(dtype) / terms**0.5 for s in ((rows, terms), (terms, columns)))
        yield from _both(lambda a=a, b=b: [row_product(a, b)])
        start = rng.normal(size=(rows, columns)).astype(dtype)
        yield from _both(lambda a=a, b=b, start=start: [row_product(a, b, start.copy())])


ORDERS = ("krs", "ksc", "krc"), ("rsk", "skc", "ckr"), ("ksr", "csk", "rck"), ("srk", "csk", "krc")
"""Orders in memory of the axes of both operands and of the result."""


def _modes(rng: np.random.Generator, dtype: str, unit: int) -> Iterator[Pair]:
    for sizes in ((1, 1, 1, 1), (5, 8, 3, 4), (3, 9, 8, 17), (2, 6, 32, 33), (7, 3, 5, 2)):
        length = dict(zip("krsc", sizes))
        for orders in ORDERS:
            if (orders[1][-1] == "c") != unit:
                continue
            shapes = [tuple(length[i] for i in order) for order in orders]
            a, b = ((rng.normal(size=(*s, 2)) / sizes[2] ** 0.5).astype(dtype) for s in shapes[:2])
            a, b = (array.view(f"c{2 * array.itemsize}")[..., 0] for array in (a, b))
            walks = zip(orders, shapes, ("krs", "ksc", "krc"))
            strides = [tuple(math.prod(s[o.index(i) + 1 :]) for i in axes) for o, s, axes in walks]
            for conjugate in ((False, False), (True, False), (False, True)):

                def run(a=a, b=b, shape=shapes[2], rest=(sizes, strides, conjugate)) -> list[np.ndarray]:
                    out = np.empty(shape, a.dtype)
                    mode_product(a, b, out, *rest)
                    return [out]

                yield from _both(run)


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "block_forward": _forward,
    "block_backward": _backward,
    "mlp_forward": _mlp,
    "mlp_backward": _mlp,
    "row_product": _rows,
    "mode_product": _modes,
}
