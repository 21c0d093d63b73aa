"""Cases of the kernels of the particle mesh, and periodic cells that stress it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import sci
from sci.kernels import block_size, get_kernel, launch
from sci.potentials.mesh.spread import gather_fields, spread_charges

Pair = tuple[np.ndarray, np.ndarray]
CELL = np.array([[9.0, 0.5, -0.3], [-3.0, 10.0, 0.4], [2.0, 3.5, 8.0]])


def _both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


def _places(rng: np.random.Generator, n: int) -> np.ndarray:
    """Places in and around the cell: on its corners and faces, just below a face, and on points of the grid."""
    fractions = 3 * rng.random((n, 3)) - 1
    special = np.array([[0.0, 0.0, 0.0], [1.0, -1.0, 2.0], [0.5, 0.25, 0.0], [-1e-17, 0.3, 1 - 1e-16]])[:n]
    fractions[: len(special)] = special
    return fractions @ CELL


def _spread(rng: np.random.Generator, dtype: str, order: int) -> Iterator[Pair]:
    shapes = (
        (1, (8, 8, 8)),
        (2, (16, 8, 9)),
        (7, (9, 8, 15)),
        (40, (8, 9, 10)),
        (300, (12, 10, 16)),
        (20_000, (24, 27, 30)),
    )
    for n, shape in shapes:
        if n > 1000 and (order, dtype) != (5, "f4"):
            continue  # the sum over several grids
        positions, charges = _places(rng, n), rng.normal(size=n)
        yield _both(partial(spread_charges, positions, charges, np.linalg.inv(CELL), shape, order, np.dtype(dtype)))


def _gather(rng: np.random.Generator, dtype: str, order: int) -> Iterator[Pair]:
    for n, shape in ((0, (8, 8, 8)), (1, (8, 8, 8)), (5, (16, 8, 9)), (17, (9, 8, 15)), (300, (12, 10, 16))):
        values = rng.normal(size=shape).astype(dtype)
        yield _both(partial(gather_fields, _places(rng, n), np.linalg.inv(CELL), values, order))


GRIDS = tuple((s, tuple(k * n for n in s)) for s in ((3, 4, 9), (8, 9, 10), (2, 2, 8)) for k in (1, 2))


def _run(name: str, dtype: Any, count: int, *arguments: Any) -> None:
    kernel = get_kernel("particles/device_mesh.cu", name, np.dtype(dtype))
    launch(kernel, -(-count // block_size(np.empty(0))), *arguments)


def _frame_places(rng: np.random.Generator) -> Iterator[Pair]:
    for n in (1, 17, 100):
        positions, corner = _places(rng, n), rng.normal(size=3)
        strange = positions.copy()
        strange[n // 2, 1] = (np.nan, np.inf)[n % 2]
        for given in (positions, strange):
            real = np.isfinite(given).all(axis=1)
            safe = np.where(real[:, None], given, 0.0)
            for periodic in (0, 1):
                numbers = np.concatenate([np.zeros(3), np.linalg.inv(CELL).ravel(), 2 * CELL.ravel(), corner])
                clean, places, outside = np.empty((n, 3)), np.empty((n, 3)), np.empty(n)
                _run("frame_places", np.float64, n, given, numbers, clean, places, outside, n, periodic)
                fractions = safe @ np.linalg.inv(CELL)
                inside = real & (bool(periodic) | (np.abs(fractions) <= 1).all(axis=1))
                yield outside, 1.0 - inside
                yield clean, np.where(real[:, None], given - corner, 0.0)
                expected = fractions - np.floor(fractions) if periodic else fractions
                turns = (places @ np.linalg.inv(2 * CELL)) - expected
                yield turns - np.rint(turns) * periodic, np.zeros((n, 3))


def _fold(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for shape, whole in GRIDS:
        n1, n2, n3 = shape
        grid, out = rng.normal(size=(n1, n2, n3 + 8)).astype(dtype), np.zeros(whole, dtype=dtype)
        _run("fold_rows", dtype, n1 * n2 * n3, grid, out, n1, n2, n3 + 8, *whole[1:])
        expected = np.zeros(whole, dtype=dtype)
        expected[:n1, :n2, :n3] = grid[:, :, :n3]
        expected[:n1, :n2, :8] += grid[:, :, n3:]
        yield out, expected


def _repeat(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for shape, whole in GRIDS:
        n1, n2, n3 = shape
        grid, out = rng.normal(size=whole).astype(dtype), np.zeros((n1, n2, n3 + 8), dtype=dtype)
        _run("repeat_rows", dtype, n1 * n2 * (n3 + 8), grid, out, n1, n2, n3 + 8, *whole[1:])
        corner = grid[:n1, :n2, :n3]
        yield out, np.concatenate([corner, corner[:, :, :8]], axis=2)


def _join_sums(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for n, chunks, width, rows in ((1, 1, 8, 1), (40, 6, 16, 9), (100, 20, 8, 400)):
        members = np.full(chunks * width, -1)
        members[rng.choice(chunks * width, n, replace=False)] = rng.permutation(n)
        own, other = rng.normal(size=(chunks, 4, width)), rng.normal(size=(chunks, 4, width)).astype(dtype)
        places, charges, fields = rng.normal(size=(n, 3)), rng.normal(size=n), rng.normal(size=(n, 4))
        outside, sums, constants = (rng.random(n) < 0.3).astype(float), rng.normal(size=(rows, 10)), rng.normal(size=15)
        blocks = -(-max(chunks * width, rows) // block_size(np.empty(0)))
        potentials, forces, parts = np.empty(n), np.empty((n, 3)), np.empty((blocks, 23))
        fields[0, 1] = np.nan if n == 40 else fields[0, 1]
        given = (own, other, members.reshape(chunks, width), places, charges, outside, fields, sums, constants)
        _run(
            "join_sums",
            dtype,
            blocks * block_size(own),
            *given,
            potentials,
            forces,
            parts,
            n,
            chunks,
            width,
            rows,
            blocks,
        )
        near, lanes = np.empty((n, 4)), members >= 0
        near[members[lanes]] = (own + other).transpose(0, 2, 1).reshape(-1, 4)[lanes]
        turn, (unit, force_unit, far, slope, self_value, background) = constants[:9].reshape(3, 3), constants[9:]
        potential = near[:, 3] + far * fields[:, 0] - self_value * charges + background
        force = charges[:, None] * (near[:, :3] @ turn - slope * fields[:, 1:])
        bad = float((~np.isfinite(force)).sum())
        yield potentials, unit * potential
        yield np.nan_to_num(forces), np.nan_to_num(force_unit * force)
        virial = (charges[:, None] * near[:, :3]).T @ places
        squares = (force**2).sum()
        totals = [sums.sum(axis=0), [charges @ potential], virial.ravel(), [squares, bad, outside.sum()]]
        yield np.nan_to_num(parts.sum(axis=0)), np.nan_to_num(np.concatenate(totals))


CASES: dict[str, Callable[..., Iterator[Pair]]] = {"frame_places": _frame_places}
BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "spread_charges": _spread,
    "gather_fields": _gather,
    "fold_rows": _fold,
    "repeat_rows": _repeat,
    "join_sums": _join_sums,
}


def ionic(n: int, cell: Any, seed: int = 0, charge: float = 0.0) -> Any:
    """Return n random charges at random places around a cell, of the total `charge`."""
    from sci.potentials import Particles

    rng = np.random.default_rng(seed)
    charges = rng.normal(size=n)
    charges += (charge - charges.sum()) / n
    return Particles((3 * rng.random((n, 3)) - 1) @ np.asarray(cell, dtype=float), charges, cell=cell)
