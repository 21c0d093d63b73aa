"""Seeded inputs for the kernels of the Poisson operator, multigrid and incomplete Cholesky."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import sci
from sci.kernels import launch
from sci.solvers.multigrid.fused import FusedStages
from sci.solvers.multigrid.level import Level
from sci.solvers.multigrid.smoothers import first_sweep, half_sweep, residual
from sci.solvers.multigrid.transfer import prolong, restrict
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.grid import Layout
from sci.solvers.poisson.stencil import Stencil, quadratic_form_reference
from sci.solvers.preconditioners.incomplete_cholesky import (
    factor_kernel,
    factor_reference,
    substitute_kernel,
    substitute_reference,
)

Pair = tuple[np.ndarray, np.ndarray]
SHAPES = ((1, 1, 1), (2, 3, 5), (5, 4, 16), (1, 7, 17), (9, 33), (3, 1))
LONG = (*SHAPES, (2, 530))
"""With rows that a host takes in two parts."""


def _both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


class _Problem:
    """One grid with random numbers in its cells, zeros around them, and a diagonal that dominates."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, bits: int, variable: bool) -> None:
        self.rng, self.layout = rng, Layout(shape, (False,) * len(shape))
        self.solid = rng.random(shape) < 0.2
        counts = rng.integers(4, 7, shape) * ~self.solid
        self.d = self.layout.spread(counts.astype(np.int8 if bits == 8 else dtype))
        self.offdiag = np.stack([self.cells(dtype, positive=True) for _ in range(3)]) if variable else None
        self.where, self.whole = self.layout.box_array(np), self.layout.whole()

    def cells(self, dtype: Any, positive: bool = False) -> np.ndarray:
        values = self.rng.random(self.solid.shape) + 0.1 if positive else self.rng.normal(size=self.solid.shape)
        return self.layout.spread(values * ~self.solid, dtype)


def _few_bits(cells: np.ndarray, scale: int = 64) -> np.ndarray:
    """Return numbers whose sums and products float32 holds exactly, where a kernel of float64 takes float32 as well."""
    return np.round(cells * scale) / np.array(scale, cells.dtype)


def _problems(
    rng: np.random.Generator, dtype: Any, bits: int = 64, variable: int = 0, shapes: Any = SHAPES
) -> Iterator[_Problem]:
    return (_Problem(rng, shape, dtype, bits, bool(variable)) for shape in shapes)


def _stencils(rng: np.random.Generator, bits: int, variable: int) -> Iterator[tuple[_Problem, Stencil]]:
    for p in _problems(rng, "f8", bits, variable, LONG):
        yield p, Stencil(p.layout, p.d, p.offdiag, 0.7)


def _apply(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, bits, variable):
        u = p.cells(dtype)

        def run(u=u, stencil=stencil) -> np.ndarray:
            out = np.zeros_like(u)
            stencil.apply(u, out)
            return out

        yield _both(run)


def _quadratic_form(rng: np.random.Generator, dtype: str, bits: int, variable: int, store: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, bits, variable):
        u = _few_bits(p.cells(f"f{store // 8}"))
        yield _both(lambda u=u, stencil=stencil: np.array([stencil.quadratic_form(u)]))


def _cg_step(rng: np.random.Generator, dtype: str, bits: int, variable: int, store: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, bits, variable):
        x, (z, old, f) = p.cells("f8"), (_few_bits(p.cells(f"f{store // 8}"), 2) for _ in range(3))
        z[0], old[-1] = 1, -1  # the layers of p follow those of z and the old p
        for moves in (None, (0.5, 0.25)):

            def run(x=x, z=z, old=old, f=f, stencil=stencil, moves=moves) -> np.ndarray:
                x, p, rest = x.copy(), np.zeros_like(z), f.copy()
                total = stencil.cg_step(z, old, p, x, rest, rest, 0.5, 0.25 / 0.7, moves)
                around = tuple(slice(0, n + 2) for n in stencil.layout.lengths)
                return np.concatenate([*(a[around].ravel() for a in (x, p, rest)), [total]])

            yield _both(run)


def _scaled_residual(rng: np.random.Generator, dtype: str, bits: int, variable: int, store: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, bits, variable):
        x, padded = p.cells("f8"), p.cells("f8")
        for b in (padded, np.ascontiguousarray(padded[p.layout.box_key])):

            def run(x=x, b=b, stencil=stencil) -> np.ndarray:
                f = np.zeros(x.shape, f"f{store // 8}")
                return np.append(f.ravel(), stencil.residual(x, b, f, 1.5))

            yield _both(run)


def _axpy(rng: np.random.Generator, dtype: str, store: int) -> Iterator[Pair]:
    for q, stencil in _stencils(rng, 8, 0):
        x, p = q.cells("f8"), q.cells(f"f{store // 8}")

        def run(x=x, p=p, stencil=stencil) -> np.ndarray:
            out = x.copy()
            stencil.axpy(out, p, 0.6)
            return out

        yield _both(run)


def _dot(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, 8, 0):
        a, b = p.cells(dtype), p.cells(dtype)
        yield _both(lambda a=a, b=b, stencil=stencil: np.array([stencil.dot(a, b)]))


def _half_sweep(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for p in _problems(rng, dtype, bits, variable):
        u, f = p.cells(dtype), p.cells(dtype)
        for color in (0, 1):

            def run(p=p, u=u, f=f, color=color) -> np.ndarray:
                out = u.copy()
                half_sweep(p.layout, out, f, p.d, p.offdiag, color, p.where, p.whole)()
                return out

            yield _both(run)


def _stages(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[tuple[Any, ...]]:
    """Yield two levels with u and f on the finer one, with and without weights of the interpolation in turn."""
    for number, shape in enumerate((*SHAPES, (7, 2), (6, 6, 6), (3, 8, 2), (8, 1, 4))):
        p = _Problem(rng, shape, dtype, bits, bool(variable))
        below = p.layout.halved
        d = below.spread(rng.integers(0, 3, below.grid_shape).astype(dtype))
        weights = p.cells(dtype) if number % 2 else None
        u, f = p.cells(dtype), p.cells(dtype)
        fine = Level(Grid(p.layout, p.layout.lengths), p.d, p.offdiag, np.dtype(dtype), weights)
        yield fine, u, f, Level(Grid(below, below.lengths), d, None, np.dtype(dtype))


def _red(layout: Layout, u: np.ndarray, into: np.ndarray) -> np.ndarray:
    """Return the red cells row by row in an array like `into`."""
    cells, red = u[layout.box_key], np.zeros_like(into)
    for i, j in np.ndindex(cells.shape[:2]):
        row = cells[i, j, (i + j) % 2 :: 2]
        red[i, j, : row.size] = row
    return red


def _descend(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for e, given, f, below in _stages(rng, dtype, bits, variable):
        for count in (2, 4):
            found, expected = np.zeros_like(below.d), np.zeros_like(below.d)
            u, t, whole = given.copy(), np.zeros_like(given), e.layout.whole()
            with sci.options(kernels="compiled"):
                stages = FusedStages(e, below, given, f, found, expected, count, 0.5)
                for _ in range(2):  # the room is used again
                    stages.descend()
            with sci.options(kernels="reference"):
                first_sweep(e.layout, u, f, e.d, 0, e.whole, whole)()
                for k in range(1, count):
                    half_sweep(e.layout, u, f, e.d, e.offdiag, k % 2, e.whole, whole)()
                residual(e.layout, u, f, e.d, e.offdiag, e.weights, t, e.whole, whole)()
                restrict(e.layout, below.layout, t, t, below.d, expected, below.whole, 0.5)()
            red = _red(e.layout, u, stages.kept)
            yield np.append(stages.kept.ravel(), found), np.append(red.ravel(), expected)


def _ascend(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for e, given, f, below in _stages(rng, dtype, bits, variable):
        correction = below.layout.spread(rng.normal(size=below.layout.grid_shape), dtype)
        for count in (2, 4):
            fused, u, whole = np.zeros_like(given), given.copy(), e.layout.whole()
            with sci.options(kernels="compiled"):
                stages = FusedStages(e, below, fused, f, np.zeros_like(below.d), correction, count, 0.5)
                stages.descend()
                stages.kept[...] = _red(e.layout, given, stages.kept)
                stages.ascend()
            with sci.options(kernels="reference"):
                prolong(e.layout, below.layout, u, correction, e.d, e.weights, e.whole)()
                for k in range(1, count + 1):
                    half_sweep(e.layout, u, f, e.d, e.offdiag, k % 2, e.whole, whole)()
            energy = quadratic_form_reference(u, e.d, e.offdiag, e.whole, 1.0)
            products = [stages.product, stages.energy]
            yield np.append(fused.ravel(), products), np.append(u.ravel(), [(u * f).sum(dtype="f8"), energy])


def _first_sweep(rng: np.random.Generator, dtype: str, bits: int) -> Iterator[Pair]:
    for p in _problems(rng, dtype, bits):
        f = p.cells(dtype)
        for color in (0, 1):

            def run(p=p, f=f, color=color) -> np.ndarray:
                out = p.cells(dtype) * 0 + 3 * (p.layout.spread(np.ones(p.solid.shape), dtype))
                first_sweep(p.layout, out, f, p.d, color, p.where, p.whole)()
                return out

            yield _both(run)


def _residual(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for number, p in enumerate(_problems(rng, dtype, bits, variable)):
        u, f, share = p.cells(dtype), p.cells(dtype), p.cells(dtype) if number % 2 else None

        def run(p=p, u=u, f=f, share=share) -> np.ndarray:
            out = np.zeros_like(u)
            residual(p.layout, u, f, p.d, p.offdiag, share, out, p.where, p.whole)()
            return out

        yield _both(run)


def _restrict(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for shape in (*SHAPES, (4, 4), (2, 9), (1, 1), (7, 2), (6, 6, 6), (3, 3, 2), (8, 1, 4)):
        p = _Problem(rng, shape, dtype, 64, False)
        coarse = p.layout.halved
        t, d = p.cells(dtype), coarse.spread(rng.integers(0, 3, coarse.grid_shape).astype(dtype))
        middle = np.zeros((*coarse.padded_shape[:2], p.layout.padded_shape[2]), dtype)

        def run(p=p, t=t, d=d, middle=middle, coarse=coarse) -> np.ndarray:
            out = np.zeros(coarse.padded_shape, dtype)
            restrict(p.layout, coarse, t, middle, d, out, coarse.box_array(np), 0.5)()
            return out

        yield _both(run)


def _prolong(rng: np.random.Generator, dtype: str, bits: int) -> Iterator[Pair]:
    for number, shape in enumerate((*SHAPES, (4, 4), (2, 9), (1, 1), (7, 2), (6, 6, 6))):
        p = _Problem(rng, shape, dtype, bits, False)
        coarse = p.layout.halved
        u, share = p.cells(dtype), p.cells(dtype) if number % 2 else None
        e = coarse.spread(rng.normal(size=coarse.grid_shape), dtype)

        def run(p=p, u=u, e=e, share=share, coarse=coarse) -> np.ndarray:
            out = u.copy()
            prolong(p.layout, coarse, out, e, p.d, share, p.where)()
            return out

        yield _both(run)


def _run_incomplete(p: _Problem, kernel: Any, planes: bool, forward: bool, *arguments: Any) -> None:
    offdiag = np.zeros((3, 1, 1, 1)) if p.offdiag is None else p.offdiag
    ends = (p.where, *p.layout.padded_shape[1:])
    given = (arguments[0], offdiag, *arguments[1:3], *ends, *arguments[3:])
    count = sum(p.layout.lengths) - 2
    if not planes:
        launch(kernel, 1, *given)
    for s in (range(count) if forward else reversed(range(count))) if planes else ():
        launch(kernel, p.layout.lengths[0], *given, s)


def _factor(planes: bool) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
        for p in _problems(rng, "f8", bits, variable):
            found, expected = np.zeros(p.d.shape), np.zeros(p.d.shape)
            kernel = factor_kernel("i1" if bits == 8 else "f8", bool(variable), planes)
            offdiag = np.zeros((3, 1, 1, 1)) if p.offdiag is None else p.offdiag
            ends = (p.where, *p.layout.padded_shape[1:], 0.97)
            for s in range(sum(p.layout.lengths) - 2) if planes else ((),):
                tail = (s,) if planes else ()
                launch(kernel, p.layout.lengths[0] if planes else 1, p.d, offdiag, found, *ends, *tail)
            factor_reference(p.layout, p.d, p.offdiag, expected, 0.97)
            yield found, expected

    return cases


def _substitute(planes: bool) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str, variable: int, forward: int) -> Iterator[Pair]:
        for p in _problems(rng, "f8", 64, variable):
            inverse, source = 0.2 * p.cells("f8", positive=True), p.cells("f8")
            found, expected = np.zeros(p.d.shape), np.zeros(p.d.shape)
            kernel = substitute_kernel(bool(variable), bool(forward), planes)
            _run_incomplete(p, kernel, planes, bool(forward), inverse, source, found)
            substitute_reference(p.layout, inverse, p.offdiag, source, expected, bool(forward))
            yield found, expected

    return cases


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "apply_stencil": _apply,
    "quadratic_form": _quadratic_form,
    "cg_step": _cg_step,
    "scaled_residual": _scaled_residual,
    "axpy": _axpy,
    "dot": _dot,
    "half_sweep": _half_sweep,
    "descend": _descend,
    "ascend": _ascend,
    "first_sweep": _first_sweep,
    "multigrid.residual": _residual,
    "multigrid.restrict_rows": _restrict,
    "multigrid.restrict_ends": _restrict,
    "prolong": _prolong,
    "factor_all": _factor(False),
    "factor_plane": _factor(True),
    "substitute_all": _substitute(False),
    "substitute_plane": _substitute(True),
}
