"""Decompositions of any grid over 1 to 8 ranks, as pure index arithmetic."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.distributed import GridDecomposition, block, decompose, pencil, slab, split
from sci.distributed.grids.process_grids import best_proc_shape
from sci.distributed.ranges import split_bounds
from sci.errors import DecompositionError, InvalidValueError

shapes = st.lists(st.integers(1, 11), min_size=1, max_size=4).map(tuple)
sizes = st.integers(1, 8)


def all_ranks(kind: str, shape: tuple[int, ...], size: int, axis: int = 0) -> list[GridDecomposition]:
    """Return the decompositions of all ranks."""
    if kind == "block":
        return [block(shape, rank=r, size=size) for r in range(size)]
    cut = {"slab": slab, "pencil": pencil}[kind]
    return [cut(shape, axis=axis, rank=r, size=size) for r in range(size)]


@st.composite
def cuts(draw: st.DrawFn, kinds: tuple[str, ...] = ("slab", "pencil", "block")) -> list[GridDecomposition]:
    """Draw a grid and a way to cut it; one decomposition for each rank."""
    kind = draw(st.sampled_from(kinds))
    shape = draw(shapes.filter(lambda s: len(s) > 1) if kind == "pencil" else shapes)
    return all_ranks(kind, shape, draw(sizes), draw(st.integers(-len(shape), len(shape) - 1)))


@settings(deadline=None)
@given(st.integers(0, 50), sizes)
def test_split_is_a_balanced_partition(n: int, size: int) -> None:
    parts = [range(n)[split(n, rank=r, size=size)] for r in range(size)]
    assert [i for part in parts for i in part] == list(range(n))
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)
    assert np.array_equal(split_bounds(n, size), np.cumsum([0, *lengths]))


def test_split_without_communicator_is_everything() -> None:
    assert split(7) == slice(0, 7)
    assert split(2**40, rank=2, size=3) == slice(733007751851, 2**40)


@settings(deadline=None)
@given(cuts())
def test_boxes_tile_the_grid(ds: list[GridDecomposition]) -> None:
    owner = np.full(ds[0].grid_shape, -1)
    for rank, d in enumerate(ds):
        assert d.rank == rank
        assert d.size == len(ds)
        assert (owner[d.slices] == -1).all()
        owner[d.slices] = rank
        assert owner[d.slices].shape == d.local_shape
        assert ds[0].box(rank) == (d.local_start, d.local_shape)
    assert (owner >= 0).all()


@settings(deadline=None)
@given(cuts(), st.data())
def test_owners_finds_every_cell_of_a_box_once(ds: list[GridDecomposition], data: st.DataObject) -> None:
    start = [data.draw(st.integers(0, n - 1)) for n in ds[0].grid_shape]
    shape = [data.draw(st.integers(0, n - a)) for a, n in zip(start, ds[0].grid_shape)]
    owner = np.full(ds[0].grid_shape, -1)
    for rank, d in enumerate(ds):
        owner[d.slices] = rank
    seen = np.full(ds[0].grid_shape, -1)
    for rank, part in ds[0].owners(start, shape):
        assert (seen[part] == -1).all()
        assert seen[part].size > 0
        seen[part] = rank
    box = tuple(slice(a, a + n) for a, n in zip(start, shape))
    assert np.array_equal(seen[box], owner[box])
    assert (seen >= 0).sum() == prod(shape)


@settings(deadline=None)
@given(cuts(), st.data())
def test_neighbors_are_mutual(ds: list[GridDecomposition], data: st.DataObject) -> None:
    periodic = [data.draw(st.booleans()) for _ in ds[0].grid_shape]
    for d in ds:
        for offset, rank in d.neighbors(periodic).items():
            back = ds[rank].neighbors(periodic)[tuple(-o for o in offset)]
            assert back == d.rank
    if all(periodic):
        assert len(ds[0].neighbors(periodic)) == 3 ** ds[0].ndim - 1


def test_pencil_and_slab_keep_their_axes_whole() -> None:
    d = pencil((8, 9, 10), axis=1, rank=0, size=4)
    assert d.proc_shape == (2, 1, 2)
    assert d.local_shape == (4, 9, 5)
    assert slab((8, 9, 10), axis=-1, rank=0, size=4).proc_shape == (1, 1, 4)


@pytest.mark.parametrize(
    ("grid", "size", "expected"),
    [
        ((64, 64, 64), 8, (2, 2, 2)),
        ((64, 64), 4, (2, 2)),
        ((100, 10), 2, (2, 1)),
        ((10, 100), 2, (1, 2)),
        ((7,), 5, (5,)),
        ((64, 64, 64), 7, (7, 1, 1)),
        ((2, 2, 96), 6, (1, 1, 6)),
    ],
)
def test_block_takes_the_least_volume_then_the_least_surface(
    grid: tuple[int, ...], size: int, expected: tuple[int, ...]
) -> None:
    assert best_proc_shape(grid, size, (0,) * len(grid)) == expected


def test_block_avoids_cuts_that_are_too_narrow_for_the_halo() -> None:
    assert block((6, 64), halo=3, rank=0, size=8).proc_shape == (1, 8)


def test_halo_shapes() -> None:
    d = block((10, 6), halo=(2, 1), rank=3, size=4)
    assert (d.padded_shape, d.interior) == ((9, 5), (slice(2, 7), slice(1, 4)))
    assert np.zeros(d.padded_shape)[d.interior].shape == d.local_shape


def test_decompositions_are_values() -> None:
    a, b = slab((5, 5), rank=1, size=3), decompose((5, 5), (3, 1), rank=1, size=3)
    assert a == b
    assert hash(a) == hash(b)
    assert a != slab((5, 5), rank=2, size=3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: decompose((4, 4), (3, 1), rank=0, size=2), "product 2"),
        (lambda: decompose((4, 4), (2,), rank=0, size=2), "expected 2 numbers"),
        (lambda: decompose((4, 4), (-2, -1), rank=0, size=2), "proc_shape"),
        (lambda: slab((4, 0)), "at least one cell"),
        (lambda: slab(()), "1 to 8 axes"),
        (lambda: slab((4.5, 2)), "expected integers"),
        (lambda: slab((4, 4), axis=2), "axis 2"),
        (lambda: pencil((4,), rank=0, size=2), "stay whole"),
        (lambda: slab((4, 4), halo=(1, 1, 1)), "halo has 3 values"),
        (lambda: slab((4, 4), halo=-1), "halo -1"),
        (lambda: slab((8, 4), halo=3, rank=0, size=3), "smallest has 2"),
        (lambda: block((4, 4), rank=4, size=4), "rank 4 of 4"),
        (lambda: block((4, 4), size=4), "both or neither"),
        (lambda: split(-1), "length -1"),
        (lambda: slab((4, 4)).neighbors((True,)), "periodic has 1 values"),
    ],
)
def test_bad_arguments(make: object, says: str) -> None:
    with pytest.raises(DecompositionError, match=says):
        make()


def test_comm_must_be_a_communicator() -> None:
    pytest.importorskip("mpi4py.MPI")
    with pytest.raises(InvalidValueError, match="mpi4py intracommunicator"):
        slab((4, 4), comm="world")
