"""Seeded inputs for the kernels of the learned solvers: the learned V-cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import sci
from sci.solvers.krylov.protocols import StepNumbers
from sci.solvers.learned.kernels import run, transfer_weight, upper_half, widened
from sci.solvers.learned.level import Level
from sci.solvers.learned.parameters import flat_network, initial_parameters
from sci.solvers.learned.stages import CgStep, ascend, descend, planes
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.grid import Layout, rows_per_block
from sci.solvers.poisson.stencil import Stencil, quadratic_form_reference

Pair = tuple[np.ndarray, np.ndarray]


def _both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


SHAPES = ((1, 1, 1), (2, 3, 5), (5, 4, 16), (1, 7, 17), (4, 1, 40), (3, 6, 33))
"""Grids of the V-cycle: axes of one cell, odd lengths, rows around a block."""


class _Fine:
    """Random arrays of one level, zero outside of random cells."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], variable: bool) -> None:
        self.layout = Layout(shape, (False,) * 3)
        mask = rng.random(shape) > 0.3
        mask.flat[0] = True

        def spread(values: np.ndarray, dtype: type = np.float32) -> np.ndarray:
            return self.layout.spread((values * mask).astype(dtype))

        self.f, self.u = spread(rng.normal(size=shape)), spread(rng.normal(size=shape))
        self.jacobi = upper_half(spread(0.1 + rng.random(shape)))
        self.transfer = spread(rng.integers(-127, 128, shape), np.int8)
        self.counts = spread(rng.integers(1, 7, shape), np.int8)
        self.d = spread(1 + 5 * rng.random(shape)) if variable else self.counts
        self.offdiag = np.zeros((3, *self.layout.padded_shape), np.float32)
        for offdiag in self.offdiag:
            offdiag[self.layout.key] = rng.random(shape)
        self.fixed, self.fraction = spread(rng.random(shape)), spread(0.2 + 0.8 * rng.random(shape))
        self.box = self.layout.box_array(np)
        self.chunk, self.blocks = rows_per_block(self.layout.whole(), self.d)
        self.ends = (self.box, *self.layout.padded_shape[1:], self.chunk)
        halved = [n > 1 for n in shape]
        self.interpolation = np.array([[0.2, 0.8, 0.8, 0.2] if h else [0, 1, 0, 0] for h in halved], np.float32)
        self.strides = np.array([2 if h else 1 for h in halved])

    @property
    def coarse(self) -> _Fine:
        return _Fine(np.random.default_rng(4), self.layout.halved.grid_shape, True)


def _levels(rng: np.random.Generator, variable: bool) -> Iterator[_Fine]:
    yield from (_Fine(rng, shape, variable) for shape in SHAPES)


def _made(name: str, variable: bool, blocks: int, out: np.ndarray, arguments: tuple[object, ...]) -> Pair:
    """Run with copies of `out`, which is among the arguments."""

    def call() -> np.ndarray:
        fresh = out.copy()
        run(name, variable, blocks, *(fresh if a is out else a for a in arguments))
        return fresh

    return _both(call)


def _smoothing(name: str, *numbers: float) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str, d: int, variable: int) -> Iterator[Pair]:
        for g in _levels(rng, bool(variable)):
            out = np.zeros_like(g.f)
            given = {
                "jacobi_from_zero": (g.f, g.jacobi),
                "jacobi_step": (g.u, g.f, g.jacobi),
                "residual": (g.u, g.f, g.transfer),
            }
            yield _made(name, bool(variable), g.blocks, out, (*given[name], g.d, g.offdiag, out, *g.ends, *numbers))

    return cases


def _restrict_rows(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for g in _levels(rng, True):
        c, (p1, p2) = g.coarse, g.layout.padded_shape[1:]
        c0, c1, _ = c.layout.padded_shape
        out = np.zeros((c0, c1, p2), np.float32)
        yield _made(
            "restrict_rows", True, c.blocks, out, (g.u, out, g.interpolation, g.strides, c.box, p1, p2, c1, c.chunk)
        )


def _restrict_ends(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for g in _levels(rng, True):
        c, p2 = g.coarse, g.layout.padded_shape[2]
        c0, c1, c2 = c.layout.padded_shape
        rows = rng.normal(size=(c0, c1, p2)).astype(np.float32)
        ends = (g.interpolation, g.strides, c.box, c1, c2, p2, c.chunk, 0.7)
        yield _made("restrict_ends", True, c.blocks, c.u, (rows, c.jacobi, c.u, *ends))


def _prolong_add(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for g in _levels(rng, True):
        c, (p1, p2) = g.coarse, g.layout.padded_shape[1:]
        c1, c2 = c.layout.padded_shape[1:]
        ends = (g.interpolation, g.strides, g.box, p1, p2, c1, c2, g.chunk)
        yield _made("prolong_add", True, g.blocks, g.u, (g.u, c.u, g.transfer, *ends))


def _pairs(rng: np.random.Generator, variable: bool) -> Iterator[tuple[Level, Level, np.ndarray, np.ndarray]]:
    """Yield levels with the next one, f and u, with two steps and with four."""
    for count in (2, 4):
        for e in (*_levels(rng, variable), _Fine(rng, (7, 2, 3), variable), _Fine(rng, (6, 6, 8), variable)):
            pair = []
            for g, offdiag in ((e, e.offdiag if variable else None), (e.coarse, e.offdiag)):
                learned = (g.jacobi, g.transfer, tuple(rng.random(count)), g.interpolation, g.strides, 0.7)
                pair.append(Level(Grid(g.layout, g.layout.lengths), g.d, offdiag, *learned))
            yield pair[0], pair[1], e.f, e.u


def _steps(level: Level, f: np.ndarray, u: np.ndarray, damping: tuple[float, ...]) -> np.ndarray:
    blocks, ends = level.ends()
    for a in damping:
        out = np.zeros_like(u)
        on = (u, f, level.jacobi, level.d, level.given_offdiag)
        run("jacobi_step", level.variable, blocks, *on, out, *ends, a)
        u = out
    return u


def _restricted(level: Level, below: Level, f: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The weighted residual restricted to the next level."""
    (blocks, ends), (coarse_blocks, (box, c1, c2, chunk)) = level.ends(), below.ends()
    (p1, p2), t, below_f = level.layout.padded_shape[1:], level.zeros(), below.zeros()
    rows = np.zeros((*below.layout.padded_shape[:2], p2), np.float32)
    run("residual", level.variable, blocks, u, f, level.transfer, level.d, level.given_offdiag, t, *ends)
    weights = (level.interpolation, level.strides, box)
    run("restrict_rows", True, coarse_blocks, t, rows, *weights, p1, p2, c1, chunk)
    coarse = (rows, below.jacobi, below_f, *weights, c1, c2, p2, chunk, level.correction_scale)
    run("restrict_ends", True, coarse_blocks, *coarse)
    return below_f


def _descend(rng: np.random.Generator, dtype: str, d: int, variable: int) -> Iterator[Pair]:
    for level, below, f, _ in _pairs(rng, bool(variable)):
        room, found = planes(level), below.zeros()
        with sci.options(kernels="compiled", threads=1):
            room[level.layout.box_key] = 5  # as a cycle leaves its result there
            stage = descend(level, room, f, below, found)
            for _ in range(2):  # the workspace is used again
                stage()
        with sci.options(kernels="reference"):
            u, (blocks, ends) = level.zeros(), level.ends()
            on = (f, level.jacobi, level.d, level.given_offdiag, u)
            run("jacobi_from_zero", level.variable, blocks, *on, *ends, *level.damping[:2])
            u = _steps(level, f, u, level.damping[2:])
            expected = _restricted(level, below, f, u)
        yield np.append(room[len(level.damping) :][: len(u)], found), np.append(u, expected)


def _ascend(rng: np.random.Generator, dtype: str, d: int, variable: int) -> Iterator[Pair]:
    for level, below, f, u in _pairs(rng, bool(variable)):
        (p1, p2), (c1, c2) = level.layout.padded_shape[1:], below.layout.padded_shape[1:]
        room, correction = planes(level), rng.normal(size=below.layout.padded_shape).astype(np.float32)
        room[len(level.damping) :][: len(u)] = u
        with sci.options(kernels="compiled", threads=1):
            stage, result, products = ascend(level, room, f, below, correction, energies=True)
            stage()
        expected, (blocks, (box, _, _, chunk)) = u.copy(), level.ends()
        with sci.options(kernels="reference"):
            ends = (level.interpolation, level.strides, box, p1, p2, c1, c2, chunk)
            run("prolong_add", True, blocks, expected, correction, level.transfer, *ends)
            expected = _steps(level, f, expected, level.damping[::-1])
        energy = quadratic_form_reference(expected, level.d, level.offdiag, level.whole, 1.0)
        yield np.append(result, products), np.append(expected, [(expected * f).sum(dtype="f8"), energy])


def _cg_step(rng: np.random.Generator, dtype: str, d: int) -> Iterator[Pair]:
    for level, below, _, z in _pairs(rng, False):
        stencil = Stencil(level.layout, level.d, None, 0.7)
        p, f, x, b = (np.where(level.d > 0, rng.normal(size=z.shape), 0).astype(t) for t in ("f4", "f4", "f8", "f8"))
        grid = np.ascontiguousarray(b[level.layout.box_key])
        for moves, exact, descends in ((None, 0, 1), ((0.5, 0.25), 1, 1), ((0.5, 0.25), 0, 0), ((0.5, 0.25), 1, 0)):
            room, below_f = planes(level), below.zeros()
            room[: len(z)] = z
            new, moved, rest, left = p.copy(), x.copy(), f.copy(), f.copy()
            with sci.options(kernels="compiled", threads=1):
                step = CgStep(level, below, room, left, below_f, 0.7)
                numbers = StepNumbers(1.5, 0.5, 0.25, moves, bool(exact), bool(descends))
                square = step(new, moved, grid if descends else b, numbers)
            found = [new, moved, left, np.array([square])]
            if descends:
                found += [room.copy(), below_f.copy()]
            with sci.options(kernels="reference"):
                after, to = np.zeros_like(p), x.copy()
                total = stencil.cg_step(z, p, after, to, f, rest, 0.5, 0.25, moves)
                if exact:
                    total = stencil.residual(to, grid, rest, 1.5)
            expected = [after, to, rest, np.array([total])]
            if descends:  # the way down itself is that of `jacobi_descend`, bit for bit
                with sci.options(kernels="compiled", threads=1):
                    descend(level, room, left, below, below_f)()
                expected += [room, below_f]
            yield (
                np.concatenate([a.ravel().astype("f8") for a in found]),
                np.concatenate([a.ravel() for a in expected]),
            )


def _pack_faces(rng: np.random.Generator, dtype: str, d: int) -> Iterator[Pair]:
    for g in _levels(rng, False):
        out = g.layout.zeros(np, np.int32)
        yield _made("pack_faces", False, g.blocks, out, (g.counts, out, *g.ends))


def _faces(g: _Fine) -> np.ndarray:
    out = g.layout.zeros(np, np.int32)
    run("pack_faces", False, g.blocks, g.counts, out, *g.ends)
    return out


def _network_fields(rng: np.random.Generator, dtype: str, d: int, variable: int) -> Iterator[Pair]:
    parameters = {name: v + 0.5 * rng.normal(size=v.shape) for name, v in initial_parameters().items()}
    alike = _Fine(
        rng, (6, 19, 80), bool(variable)
    )  # rows that the host need not work out, but for those beside one cell
    for values in (alike.counts, alike.d, alike.fixed, alike.fraction):
        values[alike.layout.key] = values[1, 1, 1]
        values[4, 13, 40] = 0
    for g in (*_levels(rng, bool(variable)), alike):
        field, like = (g.d if variable else _faces(g)), g.layout.zeros(np, np.float32)

        def call(g=g, field=field, like=like) -> np.ndarray:
            jacobi, transfer, diagonal = g.layout.zeros(np, np.uint16), g.layout.zeros(np, np.int8), like.copy()
            network = flat_network(parameters, 1, False)
            given = (field, g.fixed, g.fraction, network, jacobi, transfer, diagonal)
            run("network_fields", bool(variable), g.blocks, *given, *g.ends, 0.25 * variable)
            return np.stack([widened(jacobi), transfer_weight(transfer), diagonal])

        found, expected = _both(call)
        # Where a number lies between two codes, rounding decides; one step of either code is let pass.
        step = np.stack([expected[0] / 128, np.full_like(like, 0.0101), np.zeros_like(like)])
        yield np.where(np.abs(found - expected) <= step, expected, found), expected


def _neumann_rescale(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for g in _levels(rng, True):
        lost = transfer_weight(g.transfer) * np.maximum(0, rng.random(g.transfer.shape) - 0.3).astype(np.float32)

        def call(g=g, lost=lost) -> np.ndarray:
            t, transfer = lost.copy(), g.transfer.copy()
            run("neumann_rescale", True, g.blocks, t, transfer, *g.ends)
            assert not t.any()
            return transfer_weight(transfer)

        found, expected = _both(call)
        yield np.where(np.abs(found - expected) <= 0.0101, expected, found), expected


def _coarsen(rng: np.random.Generator, dtype: str, d: int, variable: int) -> Iterator[Pair]:
    factors = np.array([0.25, 0.3, 0.125], np.float32)
    for g in _levels(rng, bool(variable)):
        c = g.coarse
        sizes = (c.box, *g.layout.padded_shape, *c.layout.padded_shape[1:], c.chunk)

        def call(g=g, c=c, sizes=sizes) -> np.ndarray:
            made = [c.layout.zeros(np, np.float32) for _ in range(3)]
            offdiag = np.zeros((3, *c.layout.padded_shape), np.float32)
            given = (g.d if variable else _faces(g), g.fixed, g.fraction, g.offdiag)
            run("coarsen", bool(variable), c.blocks, *given, *made, offdiag, factors, g.strides, *sizes)
            return np.stack([*made, *offdiag])

        yield _both(call)


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "jacobi_from_zero": _smoothing("jacobi_from_zero", 1.3, 0.5),
    "jacobi_step": _smoothing("jacobi_step", 0.9),
    "cycle.residual": _smoothing("residual"),
    "cycle.restrict_rows": _restrict_rows,
    "cycle.restrict_ends": _restrict_ends,
    "prolong_add": _prolong_add,
    "jacobi_descend": _descend,
    "jacobi_ascend": _ascend,
    "jacobi_cg_step": _cg_step,
    "pack_faces": _pack_faces,
    "network_fields": _network_fields,
    "neumann_rescale": _neumann_rescale,
    "coarsen": _coarsen,
}
