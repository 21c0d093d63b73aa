"""Chunks of charges: all in one lane each, boxes that hold them, tiles that do not meet within a color."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sci.potentials.pairs.cell import Frame
from sci.potentials.pairs.chunks import Chunks, chunk_width, tiles_of

LATTICES = {
    "none": None,
    "cube": np.diag([21.0, 21.0, 21.0]),
    "skew": 20.0 * np.array([[1.0, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.35, 1.2]]),
    "narrow": np.diag([3.0, 18.0, 40.0]),
    "small": np.diag([0.6, 0.5, 0.7]),
}


def chunks_of(name: str, n: int, dtype: type) -> Chunks:
    lattice = LATTICES[name]
    rng = np.random.default_rng(n)
    positions = rng.random((n, 3)) @ (np.diag([25.0, 18.0, 22.0]) if lattice is None else lattice)
    return Chunks.of(Frame.of(positions, 3.0, lattice), rng.normal(size=n), np.dtype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("n", [1, 17, 900])
def test_every_charge_has_one_lane_within_the_box_of_its_chunk(name, n, dtype):
    chunks = chunks_of(name, n, dtype)
    members = chunks.members
    assert members.shape[1] == chunk_width(dtype)
    assert sorted(members[members >= 0]) == list(range(n))
    for chunk, lanes in enumerate(members):
        places = chunks.frame.positions[lanes[lanes >= 0]]
        inside = np.abs(places - chunks.centers[chunk]) <= chunks.halves[chunk] + 1e-12
        assert inside.all()
        local = chunks.data[chunk, :3, lanes >= 0]
        np.testing.assert_allclose(local, places - chunks.centers[chunk], atol=1e-6)
    assert (np.diff(chunks.last_key) >= 0).all()
    assert (chunks.first_key <= chunks.last_key).all()
    columns = chunks.shape[0] * chunks.shape[1]
    assert chunks.column_start[0] == 0
    assert chunks.column_start[-1] == len(members)
    for column in range(columns):
        here = chunks.column[chunks.column_start[column] : chunks.column_start[column + 1]]
        assert (here == column).all()


def footprint(chunks: Chunks, tile: np.ndarray) -> set[tuple[int, int]]:
    """Return the columns that charges within the cutoff, at higher x or at the same x and any y, may lie in."""
    layers, across, _, periodic = chunks.shape
    width, depth = chunks.cell[1], chunks.cell[3]
    skew = abs(chunks.cell[7] / chunks.cell[6]) if periodic else 0.0
    steps_x, steps_y = int(1 / width) + 1, int((1 + skew * (1 + 2 * width)) / depth) + 1
    found = set()
    for x, y in itertools.product(range(tile[0], tile[1] + steps_x), range(tile[2] - steps_y, tile[3] + steps_y)):
        if periodic:
            found.add((x % layers, y % across))
        elif x < layers and 0 <= y < across:
            found.add((x, y))
    return found


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("n", [3, 900, 4000])
def test_tiles_cover_all_columns_once_and_do_not_meet_within_a_color(name, n):
    chunks = chunks_of(name, n, np.float32)
    tiles, spans = tiles_of(chunks)
    covered = [(x, y) for a, b, c, d in tiles for x in range(a, b) for y in range(c, d)]
    assert sorted(covered) == list(itertools.product(range(chunks.shape[0]), range(chunks.shape[1])))
    assert [start for start, _ in spans] == [0, *(stop for _, stop in spans[:-1])]
    assert spans[-1][1] == len(tiles)
    for start, stop in spans:
        for one, two in itertools.combinations(range(start, stop), 2):
            assert not footprint(chunks, tiles[one]) & footprint(chunks, tiles[two])


def test_large_systems_have_tiles_that_threads_can_share():
    lattice = 60.0 * np.eye(3)
    frame = Frame.of(60.0 * np.random.default_rng(0).random((20_000, 3)), 5.0, lattice)
    tiles, spans = tiles_of(Chunks.of(frame, np.ones(20_000), np.dtype(np.float32)))
    assert len(tiles) >= 2 * len(spans)
