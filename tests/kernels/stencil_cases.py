"""Seeded inputs for the kernels of the Poisson operator, multigrid and incomplete Cholesky."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import sci
from sci.kernels import launch
from sci.solvers.incomplete import factor_kernel, factor_reference, substitute_kernel, substitute_reference
from sci.solvers.layout import Layout
from sci.solvers.relax import first_sweep, half_sweep, residual, sweeps
from sci.solvers.stencil import Stencil
from sci.solvers.transfer import prolong, restrict

Pair = tuple[np.ndarray, np.ndarray]
SHAPES = ((1, 1, 1), (2, 3, 5), (5, 4, 16), (1, 7, 17), (9, 33), (3, 1))


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
        self.links = np.stack([self.cells(dtype, positive=True) for _ in range(3)]) if variable else None
        self.where, self.whole = self.layout.box_array(np), self.layout.whole()

    def cells(self, dtype: Any, positive: bool = False) -> np.ndarray:
        values = self.rng.random(self.solid.shape) + 0.1 if positive else self.rng.normal(size=self.solid.shape)
        return self.layout.spread(values * ~self.solid, dtype)


def _problems(rng: np.random.Generator, dtype: Any, bits: int = 64, variable: int = 0) -> Iterator[_Problem]:
    return (_Problem(rng, shape, dtype, bits, bool(variable)) for shape in SHAPES)


def _stencils(rng: np.random.Generator, bits: int, variable: int) -> Iterator[tuple[_Problem, Stencil]]:
    for p in _problems(rng, "f8", bits, variable):
        yield p, Stencil(p.layout, p.d, p.links, 0.7)


def _apply(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, bits, variable):
        u = p.cells(dtype)

        def run(u=u, stencil=stencil) -> np.ndarray:
            out = np.zeros_like(u)
            stencil.apply(u, out)
            return out

        yield _both(run)


def _curvature(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, bits, variable):
        u = p.cells("f8")
        yield _both(lambda u=u, stencil=stencil: np.array([stencil.curvature(u)]))


def _update(rng: np.random.Generator, dtype: str, bits: int, variable: int, store: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, bits, variable):
        x, r, q = (p.cells("f8") for _ in range(3))

        def run(x=x, r=r, q=q, stencil=stencil) -> np.ndarray:
            x, r, out = x.copy(), r.copy(), np.zeros(x.shape, f"f{store // 8}")
            total = stencil.update(x, r, q, 0.3, out, 1.5)
            assert abs(out - 1.5 * r).max() <= 1e-6 * abs(r).max(initial=1.0)
            return np.concatenate([x.ravel(), r.ravel(), [total]])

        yield _both(run)


def _dot(rng: np.random.Generator, dtype: str, store: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, 8, 0):
        a, b = p.cells("f8"), p.cells(f"f{store // 8}")
        yield _both(lambda a=a, b=b, stencil=stencil: np.array([stencil.dot(a, b)]))


def _direction(rng: np.random.Generator, dtype: str, store: int) -> Iterator[Pair]:
    for p, stencil in _stencils(rng, 8, 0):
        a, z = p.cells("f8"), p.cells(f"f{store // 8}")

        def run(a=a, z=z, stencil=stencil) -> np.ndarray:
            out = a.copy()
            stencil.direction(out, z, 0.6)
            return out

        yield _both(run)


def _half_sweep(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for p in _problems(rng, dtype, bits, variable):
        u, f = p.cells(dtype), p.cells(dtype)
        for colour in (0, 1):

            def run(p=p, u=u, f=f, colour=colour) -> np.ndarray:
                out = u.copy()
                half_sweep(p.layout, out, f, p.d, p.links, colour, p.where, p.whole)()
                return out

            yield _both(run)


def _sweeps(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
    for p in _problems(rng, dtype, bits, variable):
        u, f = p.cells(dtype), p.cells(dtype)
        for count in (1, 3, 4):
            found, expected = u.copy(), u.copy()
            with sci.options(kernels="compiled", threads=1):
                call = sweeps(p.layout, found, f, p.d, p.links, 1, count, p.where)
                assert call is not None
                call()
            with sci.options(kernels="reference"):
                for k in range(count):
                    half_sweep(p.layout, expected, f, p.d, p.links, (k + 1) % 2, p.where, p.whole)()
            yield found, expected


def _first_sweep(rng: np.random.Generator, dtype: str, bits: int) -> Iterator[Pair]:
    for p in _problems(rng, dtype, bits):
        f = p.cells(dtype)
        for colour in (0, 1):

            def run(p=p, f=f, colour=colour) -> np.ndarray:
                out = p.cells(dtype) * 0 + 3 * (p.layout.spread(np.ones(p.solid.shape), dtype))
                first_sweep(p.layout, out, f, p.d, colour, p.where, p.whole)()
                return out

            yield _both(run)


def _residual(rng: np.random.Generator, dtype: str, bits: int, variable: int, shared: int) -> Iterator[Pair]:
    for p in _problems(rng, dtype, bits, variable):
        u, f, share = p.cells(dtype), p.cells(dtype), p.cells(dtype) if shared else None

        def run(p=p, u=u, f=f, share=share) -> np.ndarray:
            out = np.zeros_like(u)
            residual(p.layout, u, f, p.d, p.links, share, out, p.where, p.whole)()
            return out

        yield _both(run)


def _flat(p: _Problem, flat: int) -> bool:
    return p.layout.flat == bool(flat)


def _restrict(rng: np.random.Generator, dtype: str, flat: int | None = None) -> Iterator[Pair]:
    for shape in (*SHAPES, (4, 4), (2, 9), (1, 1), (7, 2), (6, 6, 6), (3, 3, 2), (8, 1, 4)):
        p = _Problem(rng, shape, dtype, 64, False)
        if flat is not None and not _flat(p, flat):
            continue
        coarse = p.layout.halved
        t, d = p.cells(dtype), coarse.spread(rng.integers(0, 3, coarse.grid_shape).astype(dtype))
        middle = np.zeros((*coarse.padded_shape[:2], p.layout.padded_shape[2]), dtype)

        def run(p=p, t=t, d=d, middle=middle, coarse=coarse) -> np.ndarray:
            out = np.zeros(coarse.padded_shape, dtype)
            restrict(p.layout, coarse, t, middle, d, out, coarse.box_array(np), 0.5)()
            return out

        yield _both(run)


def _prolong(rng: np.random.Generator, dtype: str, bits: int, shared: int, flat: int) -> Iterator[Pair]:
    for shape in (*SHAPES, (4, 4), (2, 9), (1, 1), (7, 2), (6, 6, 6)):
        p = _Problem(rng, shape, dtype, bits, False)
        if not _flat(p, flat):
            continue
        coarse = p.layout.halved
        u, share = p.cells(dtype), p.cells(dtype) if shared else None
        e = coarse.spread(rng.normal(size=coarse.grid_shape), dtype)

        def run(p=p, u=u, e=e, share=share, coarse=coarse) -> np.ndarray:
            out = u.copy()
            prolong(p.layout, coarse, out, e, p.d, share, p.where)()
            return out

        yield _both(run)


def _run_incomplete(p: _Problem, kernel: Any, planes: bool, forward: bool, *arguments: Any) -> None:
    links = np.zeros((3, 1, 1, 1)) if p.links is None else p.links
    ends = (p.where, *p.layout.padded_shape[1:])
    given = (arguments[0], links, *arguments[1:3], *ends, *arguments[3:])
    count = sum(p.layout.lengths) - 2
    if not planes:
        launch(kernel, 1, *given)
    for s in (range(count) if forward else reversed(range(count))) if planes else ():
        launch(kernel, p.layout.lengths[0], *given, s)


def _factor(planes: bool) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str, bits: int, variable: int) -> Iterator[Pair]:
        for p in _problems(rng, "f8", bits, variable):
            found, expected = np.zeros(p.d.shape), np.zeros(p.d.shape)
            kernel = factor_kernel("i8" if bits == 8 else "f64", bool(variable), planes)
            links = np.zeros((3, 1, 1, 1)) if p.links is None else p.links
            ends = (p.where, *p.layout.padded_shape[1:], 0.97)
            for s in range(sum(p.layout.lengths) - 2) if planes else ((),):
                tail = (s,) if planes else ()
                launch(kernel, p.layout.lengths[0] if planes else 1, p.d, links, found, *ends, *tail)
            factor_reference(p.layout, p.d, p.links, expected, 0.97)
            yield found, expected

    return cases


def _substitute(planes: bool) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str, variable: int, forward: int) -> Iterator[Pair]:
        for p in _problems(rng, "f8", 64, variable):
            inverse, source = 0.2 * p.cells("f8", positive=True), p.cells("f8")
            found, expected = np.zeros(p.d.shape), np.zeros(p.d.shape)
            kernel = substitute_kernel(bool(variable), bool(forward), planes)
            _run_incomplete(p, kernel, planes, bool(forward), inverse, source, found)
            substitute_reference(p.layout, inverse, p.links, source, expected, bool(forward))
            yield found, expected

    return cases


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "apply_stencil": _apply,
    "curvature": _curvature,
    "update": _update,
    "dot": _dot,
    "direction": _direction,
    "half_sweep": _half_sweep,
    "sweeps": _sweeps,
    "first_sweep": _first_sweep,
    "residual": _residual,
    "restrict_rows": _restrict,
    "restrict_ends": _restrict,
    "prolong": _prolong,
    "factor_all": _factor(False),
    "factor_plane": _factor(True),
    "substitute_all": _substitute(False),
    "substitute_plane": _substitute(True),
}
