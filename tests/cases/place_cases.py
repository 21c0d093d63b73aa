"""Cases of the kernels that do for a device what array code does in many launches, run on host arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from box_systems import GRID, points_in_grid

from sci import chebyshev
from sci.kernels import block_size, get_kernel, launch
from sci.potentials.pairs.chunks import chunk_width, pack_reference
from sci.potentials.radial.split import COINCIDENT
from sci.potentials.range_separated.coincidence import _BIN, _DIRECTION, Coincidences
from sci.potentials.range_separated.self_terms import _DeviceProducts, _Products
from sci.tensor.boxes.grid import BoxGrid, Tiles, local_coordinates, run_places

Pair = tuple[np.ndarray, np.ndarray]
SIZES = (1, 15, 17, 400)
WIDTH = block_size(np.empty(0))


def _box_keys(rng: np.random.Generator) -> Iterator[Pair]:
    for n in (0, *SIZES):
        for refine in (1, 3):
            points, keys = points_in_grid(n), np.empty(n, dtype=np.int64)
            run_places("box_keys", n, points, *GRID.placed(points), keys, n, refine)
            yield keys, GRID.keys(points, refine)


def _tiled(n: int, refine: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    keys = GRID.keys(points_in_grid(n), refine)
    order, edges = np.argsort(keys), GRID.size
    offsets, tiles = np.empty((2, edges), dtype=np.int64)
    run_places("box_offsets", edges, keys, order, offsets, tiles, n, edges, refine**3, WIDTH)
    return keys, order, offsets, tiles


def _box_offsets(rng: np.random.Generator) -> Iterator[Pair]:
    for n in (0, *SIZES):
        for refine in (1, 2):
            keys, _, offsets, tiles = _tiled(n, refine)
            counts = np.bincount(keys // refine**3, minlength=GRID.size)
            yield np.stack([offsets, tiles]), np.stack([np.cumsum(counts) - counts, -(-counts // WIDTH)])


def _tile_places(rng: np.random.Generator) -> Iterator[Pair]:
    for n in (0, *SIZES):
        _, _, offsets, tiles = _tiled(n, 1)
        ends, expected = np.cumsum(tiles), Tiles.of(points_in_grid(n), GRID)
        count = int(ends[-1])
        start, box = np.empty(count + 1, dtype=np.int64), np.empty(count, dtype=np.int64)
        run_places("tile_places", count + 1, offsets, ends, start, box, GRID.size, count, n, WIDTH)
        yield np.concatenate([start, box]), np.concatenate([expected.start, expected.box])


def _box_coordinates(rng: np.random.Generator) -> Iterator[Pair]:
    for n in (0, *SIZES):
        points, boxes, local = points_in_grid(n), np.empty((3, n), dtype=np.int64), np.empty((3, n))
        run_places("box_coordinates", n, points, *GRID.placed(points), boxes, local, n)
        yield (
            np.concatenate([boxes, local]),
            np.concatenate([np.stack(side) for side in local_coordinates(points, GRID)]),
        )


def _chebyshev_table(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    kernel = get_kernel("particles/places.cu", "chebyshev_table", np.dtype(dtype))
    for n in SIZES:
        for degree in (0, 1, 2, 40 if dtype == "f8" else 9):
            x, table = rng.uniform(-1, 1, n).astype(dtype), np.empty((degree + 1, n), dtype=dtype)
            launch(kernel, -(-n // WIDTH), x, table, n, degree + 1)
            yield table, chebyshev.vandermonde(x, degree).T


def _coincidences(rng: np.random.Generator) -> Iterator[Pair]:
    for n in (*SIZES, 64):
        positions = rng.uniform(-30, 30, (n, 3))
        near = positions[rng.integers(n, size=2 * n)]
        steps = rng.normal(size=near.shape)
        steps *= (np.array([0.0, 0.7, 1.5, 40.0]) * COINCIDENT)[np.arange(2 * n) % 4, None] / np.linalg.norm(
            steps, axis=1, keepdims=True
        )
        points, table = np.concatenate([near + steps, rng.uniform(-40, 40, (n, 3))]), Coincidences.of(positions)
        found, expected = np.empty(3 * n, dtype=np.int64), np.full(3 * n, -1)
        arrays = (points, positions, table.table.view(np.int8), table.order, table.projections, np.array(_DIRECTION))
        run_places("coincidences", 3 * n, *arrays, found, 3 * n, n, len(table.table), 1 / _BIN, COINCIDENT)
        hits, particles = table.find(points)
        expected[hits] = particles
        yield found, expected


def _self_products(rng: np.random.Generator) -> Iterator[Pair]:
    source_grid = BoxGrid(GRID.domain, (2, 3, 2))
    for n, members, degree, box_degree in ((1, 1, 5, 7), (17, 3, 7, 7), (60, 2, 5, 15), (33, 1, 9, 7), (16, 4, 5, 7)):
        points = points_in_grid(n)
        places, sources = (tuple(np.stack(s) for s in local_coordinates(points, g)) for g in (GRID, source_grid))
        expanded = [rng.normal(size=(c * (degree + 1), 6)) for c in GRID.counts]
        projected = [rng.normal(size=(members, 6, c * (box_degree + 1))) for c in source_grid.counts]
        results = []
        for way in (_DeviceProducts, _Products):
            result = np.ones((n, 4))
            way(places, GRID, expanded).add_to(result, sources, box_degree, projected, np.arange(1.0, members + 1))
            results.append(result)
        yield results[0], results[1]


def _column_keys(rng: np.random.Generator) -> Iterator[Pair]:
    for n in SIZES:
        for skew in (0.0, 0.4):
            points, keys = 3 * rng.normal(size=(n, 3)), np.empty(n, dtype=np.int64)
            numbers, shape = np.array([-2.0, 1.5, -3.0, 0.7, -1.0, 2.0, skew]), np.array([4, 3, 9, 0])
            counts = np.ones(4 * 3 * 9, dtype=np.int64)
            run_places("column_keys", n, points, numbers, shape, keys, counts, n)
            yield counts - 1, np.bincount(keys, minlength=len(counts))
            flat = points - skew * points[:, :1] * np.array([0.0, 1.0, 0.0])
            places = np.floor((flat - numbers[:6:2]) * numbers[1:6:2]).astype(int).clip(0, shape[:3] - 1)
            yield keys, (places[:, 0] * 3 + places[:, 1]) * 9 + places[:, 2]


def _counted(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    """Keys of n charges in 6 columns of 5 bins, one of them crowded, their counts and the sums of these."""
    keys = np.where(rng.random(n) < 0.3, 7, rng.integers(0, 30, n))
    counts = np.bincount(keys, minlength=30)
    return keys, counts, np.cumsum(counts)


def _place_sorted(rng: np.random.Generator) -> Iterator[Pair]:
    for n in (0, *SIZES):
        keys, counts, ends = _counted(rng, n)
        loose = np.full(n, -1)
        run_places("place_sorted", n, keys, ends, counts, loose, n)
        yield (
            np.concatenate([keys[loose], np.sort(loose), counts]),
            np.concatenate([np.sort(keys), np.arange(n), np.zeros(30)]),
        )


def _rank_sorted(rng: np.random.Generator) -> Iterator[Pair]:
    for n in (0, *SIZES):
        keys, counts, ends = _counted(rng, n)
        loose = np.lexsort([rng.random(n), keys])
        order, offsets, parts = np.full(n, -1), np.full(6, -1), np.zeros(7, dtype=np.int64)
        run_places("rank_sorted", max(n, 6), keys, ends, loose, order, offsets, parts, n, 6, 5, 8)
        columns = counts.reshape(6, 5).sum(axis=1)
        expected = (np.argsort(keys, kind="stable"), np.cumsum(columns) - columns, [0], -(-columns // 8))
        yield np.concatenate([order, offsets, parts]), np.concatenate(expected)


def _pack_sorted(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    width = chunk_width(np.dtype(dtype))
    for n in SIZES:
        positions, charges = rng.normal(size=(n, 3)), rng.normal(size=n)
        positions[n // 2 :: 7] = positions[0]  # ties
        columns, bins = 11, 5
        keys = rng.integers(0, columns * bins, n)
        keys = np.where(keys // bins == 4, 0, keys)  # an empty column
        order = np.argsort(keys, kind="stable")
        held = np.bincount(keys // bins, minlength=columns)
        offsets, starts = np.cumsum(held) - held, np.append(0, np.cumsum(-(-held // width)))
        count, real = n // width + min(columns, n), int(starts[-1])
        arrays = [np.empty((count, width), dtype=np.int64), np.empty((count, 4, width), dtype=dtype)]
        arrays += [np.empty((count * width // 4, 6), dtype=dtype), np.empty((count, 3)), np.empty((count, 3))]
        ends = [np.empty(count, dtype=np.int64) for _ in range(3)]
        kernel = get_kernel("particles/places.cu", "pack_sorted", np.dtype(dtype))
        blocks = -(-count * width // WIDTH)
        inputs = (positions, charges, keys, order, offsets, starts)
        launch(kernel, blocks, *inputs, *arrays, *ends, n, columns, count, width)
        assert (arrays[0][real:] < 0).all()
        assert (ends[0][real:] < 0).all()
        assert not arrays[1][real:, 3].any()
        members = np.full((real, width), -1)
        expected_ends = np.empty((3, real), dtype=np.int64)
        for chunk in range(real):
            column = int(np.searchsorted(starts, chunk, side="right")) - 1
            first = offsets[column] + width * (chunk - starts[column])
            own = [i for i in order[first : first + width] if keys[i] // bins == column]
            members[chunk, : len(own)] = own
            expected_ends[:, chunk] = column, keys[own[0]], keys[own[-1]]
        expected = pack_reference(positions, charges, members, np.dtype(dtype))
        cut = (real, real, real * width // 4, real, real)
        pairs = [(a[:k], e) for a, e, k in zip(arrays, expected, cut)]
        yield tuple(
            np.concatenate([np.where(np.abs(p[i]) > 1e3, 0, p[i]).ravel().astype(float) for p in pairs]) for i in (0, 1)
        )
        yield np.stack(ends)[:, :real], expected_ends


CASES: dict[str, Callable[..., Iterator[Pair]]] = {
    "box_keys": _box_keys,
    "box_offsets": _box_offsets,
    "tile_places": _tile_places,
    "box_coordinates": _box_coordinates,
    "coincidences": _coincidences,
    "self_products": _self_products,
    "column_keys": _column_keys,
    "place_sorted": _place_sorted,
    "rank_sorted": _rank_sorted,
}
BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {"chebyshev_table": _chebyshev_table, "pack_sorted": _pack_sorted}
