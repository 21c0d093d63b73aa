"""Seeded inputs for every kernel template, run as the compiled kernel and as its NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attention_cases
import bures_cases
import chebtuck_cases
import codebook_cases
import coder_cases
import graph_cases
import grid_cases
import learned_cases
import mesh_cases
import network_cases
import numpy as np
import operator_cases
import pair_cases
import pairwise_cases
import place_cases
import sparse_cases
import spherical_cases
import spin_cases
import stencil_cases
import step_cases
import symmetric_cases
import unit_cases

import sci
from sci.fields import TriPlane, integrate_rays, parallel_rays
from sci.kernels import Kernel, block_size, get_kernel, launch
from sci.nn import Op
from sci.nn.ops.norm_activation import b0_sums, evonorm_b0, evonorm_s0, group_norm_relu, row_moments
from sci.nn.ops.normalization import standardize, standardize_vjp
from sci.nn.ops.pointwise.activations import KINDS, evaluate
from sci.nn.optim.adam import adam_step
from sci.potentials import Coulomb, Yukawa, split_kernel
from sci.potentials.direct import direct_sum_packed
from sci.potentials.radial.kernels import GaussianSum
from sci.potentials.radial.split import Split
from sci.potentials.range_separated.bricks import axis_order, bricks_reference
from sci.potentials.range_separated.short_range import ShortRange
from sci.sequence.gated import kernel as gated
from sci.sequence.linear_attention.kernel import run_recurrence
from sci.tensor.boxes.expansion import BoxExpansion
from sci.tensor.boxes.grid import BoxGrid, Tiles
from sci.tensor.boxes.moments import box_moments

BLOCK = block_size(np.empty(0))
SIZES = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3)
GRID = BoxGrid(((-3.0, 5.0), (0.0, 6.0), (-1.0, 1.5)), (4, 3, 1))
LOW, HIGH = np.array(GRID.domain).T

Pair = tuple[np.ndarray, np.ndarray]

_WORDS = {"true": 1, "false": 0, "signed char": 8, "int": 32, "i64": 64, "float": 32, "double": 64}


def arguments_of(kernel: Kernel) -> tuple[str, list[int]]:
    """Return the template's name and its arguments after the dtype: booleans as 0 and 1, types as their bits."""
    return kernel.template, [_WORDS[a] if a in _WORDS else int(a) for a in kernel.arguments[1:]]


def is_single(kernel: Kernel) -> bool:
    """Tell whether an instance works in float32."""
    return kernel.arguments[0] == "float"


def pairs_of(kernel: Kernel) -> Iterator[Pair]:
    """Yield (compiled, reference) for the cases of one instance; cases in `_BY_DTYPE` are told the dtype.

    Cases have the name of the template; one that several files have, with the file's: "cycle.residual".
    """
    name, arguments = arguments_of(kernel)
    rng = np.random.default_rng(11)
    with_file = f"{Path(kernel.file).stem}.{name}"
    name = with_file if with_file in _BY_DTYPE else name
    if name in _BY_DTYPE:
        yield from _BY_DTYPE[name](rng, "f4" if is_single(kernel) else "f8", *arguments)
    else:
        yield from _CASES[name](rng, *arguments)


def _both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


def _points(rng: np.random.Generator, n: int) -> np.ndarray:
    """n points of the domain, among them its corners and points on the faces between boxes."""
    points = LOW + (HIGH - LOW) * rng.random((n, 3))
    special = np.array([LOW, HIGH, [-1.0, 2.0, 0.25], [1.0, 4.0, -1.0], [3.0, 2.0, 1.5]])[: n // 2]
    points[: len(special)] = special
    return points


def _direct_sum(rng: np.random.Generator, screened: int, gradient: int) -> Iterator[Pair]:
    kernel = Yukawa(0.7) if screened else Coulomb()
    for n_sources in (1, 37):
        sources = np.concatenate([_points(rng, n_sources), rng.normal(size=(n_sources, 1))], axis=1)
        for n in SIZES:
            points = _points(rng, n)
            points[n // 2 :: 7] = sources[0, :3]  # on a charge
            yield _both(partial(direct_sum_packed, points, sources, kernel, bool(gradient)))


def _split(rng: np.random.Generator, degree: int, screened: int, cutoff: float) -> Split:
    powers = 0.7 ** np.arange(degree + 1)
    b = powers * rng.normal(size=degree + 1)
    gaussians = GaussianSum(np.array([0.2, 0.9]), np.array([0.3, 0.8]))
    return Split(Yukawa(0.4) if screened else Coulomb(), 0.9, cutoff, gaussians, b)


def _short_ranges(rng: np.random.Generator, degree: int, screened: int) -> Iterator[ShortRange]:
    """One source; a cloud with empty cells; a cutoff shorter than every distance; a cutoff beyond the whole system."""
    clustered = np.concatenate([LOW + 0.8 * rng.random((40, 3)), HIGH - 0.8 * rng.random((40, 3))])
    for positions, cutoff in ((clustered[:1], 1.5), (clustered, 1.1), (clustered, 1e-3), (_points(rng, 90), 40.0)):
        charges = rng.normal(size=len(positions))
        yield ShortRange.of(positions, charges, _split(rng, degree, screened, cutoff))


def _first_source(short: ShortRange) -> np.ndarray:
    """The source of lowest x: the order of those in one cell depends on how NumPy sorts on this processor."""
    return short.sources[np.argmin(short.sources[:, 0]), :3]


def _short_range(rng: np.random.Generator, degree: int, screened: int, gradient: int) -> Iterator[Pair]:
    for short in _short_ranges(rng, degree, screened):
        for n in SIZES:
            points = _points(rng, n)
            points[n // 2 :: 5] = _first_source(short)
            tiles = Tiles.of(points, GRID)
            start = rng.normal(size=(n, 4 if gradient else 1))

            def run(points=points, tiles=tiles, start=start, short=short) -> np.ndarray:
                out = start.copy()
                short.add_to(out, points, tiles)
                return out

            yield _both(run)


def _short_range_grid(rng: np.random.Generator, degree: int, screened: int) -> Iterator[Pair]:
    for short in _short_ranges(rng, degree, screened):
        for shape in ((1, 1, 1), (2, 5, 4), (7, 3, 9)):
            axes = [np.sort(a + (b - a) * rng.random(n)) for (a, b), n in zip(GRID.domain, shape)]
            for axis in range(3):
                axes[axis][0] = _first_source(short)[axis]  # one grid point on a charge
                axes[axis].sort()

            def run(axes=axes, shape=shape, short=short) -> np.ndarray:
                out = np.ones(shape)
                short.add_to_grid(out, *axes)
                return out

            yield _both(run)


def _bricks(kernel: str) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
        for radial, alpha, tol in ((Coulomb(), 1.0, 1e-4), (Yukawa(0.4), 0.0, 1e-3), (Coulomb(), 4.0, 1e-10)):
            positions = _points(rng, 60)
            short = ShortRange.of(positions, rng.normal(size=60), split_kernel(radial, tol, 12.0, alpha))
            for shape in ((4, 5, 13), (9, 17, 6), (13, 4, 3)):
                axes = [np.sort(a + (b - a) * rng.random(n)) for (a, b), n in zip(GRID.domain, shape)]
                aside = 0.0 if dtype == "f8" else 0.05  # a node on a charge; floats are not used where one is
                for axis in range(3):
                    axes[axis][:2] = positions[7, axis] + aside, positions[8, axis] + 0.03
                    axes[axis].sort()
                order = axis_order(shape, np.dtype(dtype)) or (0, 1, 2)
                found, expected = np.ones(shape), np.ones(shape)
                instance = get_kernel(f"particles/{kernel}.cu", kernel, np.dtype(dtype))
                short.bricks.launch(instance, found, tuple(axes), order)
                bricks_reference(short.bricks, expected, tuple(axes), order, np.dtype(dtype))
                yield found, expected

    return cases


def _tile_bounds(rng: np.random.Generator) -> Iterator[Pair]:
    for n in SIZES[1:]:
        points = _points(rng, n)
        tiles = Tiles.of(points, GRID)
        count = len(tiles.box)
        bounds = np.empty((count, 6))
        kernel = get_kernel("particles/short_range.cu", "tile_bounds", np.float64)
        launch(kernel, -(-count // BLOCK), points, tiles.order, tiles.start, bounds, count)
        members = [points[tiles.order[a:b]] for a, b in zip(tiles.start[:-1], tiles.start[1:])]
        yield bounds, np.array([np.concatenate([m.min(axis=0), m.max(axis=0)]) for m in members])


def _evaluate_boxes(rng: np.random.Generator, p: int, gradient: int) -> Iterator[Pair]:
    expansion = BoxExpansion(rng.normal(size=tuple(c * p for c in GRID.counts)), GRID)
    for n in SIZES:
        points = _points(rng, n)
        tiles = Tiles.of(points, GRID)

        def run(points=points, tiles=tiles) -> np.ndarray:
            out = np.full((len(points), 4 if gradient else 1), np.nan)
            expansion.evaluate_into(out, points, tiles)
            return out

        yield _both(run)


def _box_moments(rng: np.random.Generator, p: int) -> Iterator[Pair]:
    for n in SIZES:
        points, weights = _points(rng, n), rng.normal(size=n)
        yield _both(lambda points=points, weights=weights: box_moments(points, weights, GRID, p - 1))


def _activate(rng: np.random.Generator, dtype: str, kind: int, slope: int) -> Iterator[Pair]:
    for n in (*SIZES, 600 * BLOCK + 5):
        x, name = (4 * rng.normal(size=n)).astype(dtype), KINDS[kind]
        x = -30 * np.abs(x) if name == "exp" else x
        yield _both(lambda x=x, name=name: np.array([p for p in evaluate(name, x, bool(slope)) if p is not None]))


def _adam(rng: np.random.Generator, dtype: str, direction: int) -> Iterator[Pair]:
    settings = (0.9, 0.99, 1 - 0.9**3, (1 - 0.99**3) ** 0.5, 1e-8, 0.01, 0.999, 0.1)
    for n in (*SIZES, 600 * BLOCK + 5):
        w, g, m, v = rng.normal(size=(4, n)).astype(dtype)

        def run(w=w, g=g, m=m, v=v) -> np.ndarray:
            copies = [w.copy(), m.copy(), np.abs(v)]
            found = adam_step(copies[0], g, *copies[1:], settings, bool(direction))
            return np.array([*copies, *([] if found is None else [found])])

        yield _both(run)


def _gated(rng: np.random.Generator, dtype: str, delta: int) -> Iterator[Pair]:
    """A gate a token and a feature, some of 0; less than a step, whole steps and segments; any width of a vector."""
    for n, d, e, g in ((0, 4, 4, 1), (1, 1, 1, 1), (5, 3, 2, 3), (64, 8, 16, 8), (133, 17, 37, 1), (200, 16, 33, 16)):
        q, k = (rng.normal(size=(3, n, d)).astype(dtype) for _ in range(2))
        k /= np.linalg.norm(k, axis=2, keepdims=True)
        v, dout = (rng.normal(size=(3, n, e)).astype(dtype) for _ in range(2))
        state, last = (rng.normal(size=(3, d, e)).astype(dtype) for _ in range(2))
        gate = rng.uniform(size=(3, n, g)).astype(dtype)
        gate[:, n // 2 : n // 2 + 1] = 0
        beta = rng.uniform(size=(3, n)).astype(dtype) if delta else None

        def run(q=q, k=k, v=v, dout=dout, state=state, last=last, gate=gate, beta=beta) -> np.ndarray:
            out, news, states = gated.run_forward(q, k, v, gate, beta, state)
            du, first = gated.run_adjoint(q, k, dout, gate, beta, last)
            written = news if beta is None else beta[..., None] * news
            erased = None if beta is None else -beta[..., None] * du
            grads = gated.run_gradient(q, k, written, erased, dout, gate, states, last)
            return np.concatenate([a.ravel() for a in (out, states, du, first, *grads)])

        yield _both(run)


def _lightning(rng: np.random.Generator, dtype: str, reverse: int) -> Iterator[Pair]:
    """Less than a chunk of tokens, whole chunks, segments and scans; columns below, at and above a vector's width."""
    for n, d, e in (
        (0, 4, 4),
        (1, 1, 1),
        (5, 3, 2),
        (6, 8, 16),
        (31, 17, 33),
        (800, 4, 12),
        (1540, 16, 8),
        (8300, 2, 3),
    ):
        q, k = (rng.normal(size=(4, n, d)).astype(dtype) for _ in range(2))
        v, state = rng.normal(size=(4, n, e)).astype(dtype), rng.normal(size=(4, d, e)).astype(dtype)
        decay = np.array([0.05, 0.7], dtype)

        def run(q=q, k=k, v=v, state=state, decay=decay) -> np.ndarray:
            out, states, finite = run_recurrence(q, k, v, decay, state, bool(reverse))
            assert finite
            return np.concatenate([out.ravel(), states.ravel()])

        yield _both(run)


def _standardize(rng: np.random.Generator, dtype: str, centered: int) -> Iterator[Pair]:
    for rows, n in ((0, 3), (1, 1), (15, 7), (16, 64), (33, 130), (3, 2500)):
        x = (5 + rng.normal(size=(rows, n))).astype(dtype)

        def run(x=x) -> np.ndarray:
            unit, inverse = standardize(x, 1e-3, bool(centered))
            return np.concatenate([unit.ravel(), inverse])

        yield _both(run)


def _standardize_vjp(rng: np.random.Generator, dtype: str, centered: int) -> Iterator[Pair]:
    for rows, n in ((0, 3), (1, 1), (15, 7), (16, 64), (33, 130), (3, 2500)):
        dout, unit = rng.normal(size=(2, rows, n)).astype(dtype)
        inverse = rng.random(rows).astype(dtype)
        yield _both(partial(standardize_vjp, dout, unit, inverse, bool(centered)))


NORM_SHAPES = ((0, 4, 3), (1, 2, 1), (2, 6, 5, 7), (17, 4, 16), (2, 4, 1500), (3, 8, 9, 9, 9))


def _fused_norm(op: Op, count: int, backward: bool, **options: Any) -> Callable[..., Iterator[Pair]]:
    """Cases of an op of x and `count` weights; its first weights stay away from zero, so that S0 and B0 are smooth."""

    def cases(rng: np.random.Generator, dtype: str, added: int = 0) -> Iterator[Pair]:
        for shape in NORM_SHAPES:
            x, more, dout = (1 + rng.normal(size=(3, *shape))).astype(dtype)
            weights = [a.astype(dtype) for a in rng.normal(size=(count, shape[1]))] + ([more] if added else [])

            def run(x=x, dout=dout, weights=weights) -> np.ndarray:
                out, residuals = op.forward(x, *weights, **options)
                if not backward:
                    return out.ravel()
                return np.concatenate([g.ravel() for g in op.vjp(dout, residuals) if g is not None])

            yield _both(run)

    return cases


def _row_moments(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for rows, n in ((0, 3), (1, 1), (15, 7), (16, 64), (33, 130), (3, 2500)):
        x = (5 + rng.normal(size=(rows, n))).astype(dtype)
        yield _both(lambda x=x: np.concatenate(row_moments(x)))


def _b0_sums(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for samples, channels, n in ((0, 3, 2), (1, 1, 1), (4, 3, 7), (2, 17, 64), (3, 2, 2500)):
        d, x = rng.normal(size=(2, samples * channels, n)).astype(dtype)
        batch, own = (0.5 + rng.random(k).astype(dtype) for k in (channels, samples * channels))
        yield _both(partial(b0_sums, d, x, batch, own, rng.normal(size=channels).astype(dtype)))


def _rays(backward: bool) -> Callable[..., Iterator[Pair]]:
    """Cases of `integrate_rays`: no rays, few, more than parts; features and units below, at and above a vector."""

    def cases(rng: np.random.Generator, dtype: str, composite: int) -> Iterator[Pair]:
        box, mode = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), "composite" if composite else "sum"
        for views, nodes, features, hidden, outputs, steps in (
            *((0, 2, 1, 1, 1, 3), (1, 2, 1, 1, 1, 1), (2, 5, 7, 16, 3, 9), (3, 4, 16, 33, 8, 4), (1, 3, 64, 64, 2, 2)),
        ):
            field = TriPlane(nodes, features=features, hidden=hidden, outputs=outputs, scale=1.0, seed=rng, dtype=dtype)
            rays = parallel_rays(np.linspace(0, 2, views), (3, 4), box, steps=steps)
            dout = rng.normal(size=(len(rays), outputs)).astype(dtype)
            arrays = tuple(field.parameters.values())

            def run(arrays=arrays, rays=rays, dout=dout) -> np.ndarray:
                out, kept = integrate_rays.forward(*arrays, rays=rays, box=box, mode=mode)
                if not backward:
                    return out.ravel()
                return np.concatenate([g.ravel() for g in integrate_rays.vjp(dout, kept)])

            yield _both(run)

    return cases


_BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "rays_forward": _rays(False),
    "rays_backward": _rays(True),
    "row_moments": _row_moments,
    "bricks": _bricks("bricks"),
    "brick_lanes": _bricks("brick_lanes"),
    "norm_relu": _fused_norm(group_norm_relu, 2, False, groups=2, slope=0.1, eps=1e-3),
    "norm_relu_vjp": _fused_norm(group_norm_relu, 2, True, groups=2, slope=0.1, eps=1e-3),
    "evonorm_s0": _fused_norm(evonorm_s0, 3, False, groups=2, eps=1e-3),
    "evonorm_s0_vjp": _fused_norm(evonorm_s0, 3, True, groups=2, eps=1e-3),
    "evonorm_b0": _fused_norm(evonorm_b0, 3, False),
    "evonorm_b0_sums": _b0_sums,
    "evonorm_b0_vjp": _fused_norm(evonorm_b0, 3, True),
    "standardize": _standardize,
    "standardize_vjp": _standardize_vjp,
    "activate": _activate,
    "adam": _adam,
    "lightning": _lightning,
    "gated_forward": _gated,
    "gated_adjoint": _gated,
    "gated_gradient": _gated,
    "barycenter": bures_cases.barycenters,
    "polar_factor": bures_cases.polar_factors_of,
}

_CASES: dict[str, Callable[..., Iterator[Pair]]] = {
    "direct_sum": _direct_sum,
    "short_range": _short_range,
    "short_range_grid": _short_range_grid,
    "tile_bounds": _tile_bounds,
    "evaluate_boxes": _evaluate_boxes,
    "box_moments": _box_moments,
}

_CASES.update(coder_cases.CASES)
_CASES.update(graph_cases.CASES)
_CASES.update(place_cases.CASES)
_CASES.update(mesh_cases.CASES)
_CASES.update(sparse_cases.CASES)
_CASES.update(spin_cases.CASES)
_BY_DTYPE.update(attention_cases.BY_DTYPE)
_BY_DTYPE.update(chebtuck_cases.BY_DTYPE)
_BY_DTYPE.update(coder_cases.BY_DTYPE)
_BY_DTYPE.update(grid_cases.BY_DTYPE)
_BY_DTYPE.update(learned_cases.BY_DTYPE)
_BY_DTYPE.update(mesh_cases.BY_DTYPE)
_BY_DTYPE.update(network_cases.BY_DTYPE)
_BY_DTYPE.update(operator_cases.BY_DTYPE)
_BY_DTYPE.update(pair_cases.BY_DTYPE)
_BY_DTYPE.update(pairwise_cases.BY_DTYPE)
_BY_DTYPE.update(codebook_cases.BY_DTYPE)
_BY_DTYPE.update(place_cases.BY_DTYPE)
_BY_DTYPE.update(sparse_cases.BY_DTYPE)
_BY_DTYPE.update(spherical_cases.BY_DTYPE)
_BY_DTYPE.update(stencil_cases.BY_DTYPE)
_BY_DTYPE.update(step_cases.BY_DTYPE)
_BY_DTYPE.update(symmetric_cases.BY_DTYPE)
_BY_DTYPE.update(unit_cases.BY_DTYPE)


def assert_agrees(kernel: Kernel, rtol: float) -> int:
    """Compare all cases of an instance, relative to the largest entry, at least 1 as the inputs are."""
    count = 0
    for found, expected in pairs_of(kernel):
        assert found.shape == expected.shape
        scale = float(np.abs(expected).max(initial=1.0))
        np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale)
        count += 1
    return count
