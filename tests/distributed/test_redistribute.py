"""Redistribution: what every rank sends is what its peers expect, and serial calls copy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.distributed import GridDecomposition, block, gather_grid, pencil, redistribute, scatter_grid, slab
from sci.errors import DecompositionError, DTypeError, ShapeError


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[GridDecomposition], list[GridDecomposition]]:
    """Draw two decompositions of one grid, for every rank."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=2, max_size=3)))
    size = draw(st.integers(1, 8))
    axis = draw(st.integers(0, len(shape) - 1))
    kinds = [
        lambda r: slab(shape, axis=axis, rank=r, size=size),
        lambda r: pencil(shape, axis=axis, rank=r, size=size),
        lambda r: block(shape, rank=r, size=size),
    ]
    a, b = draw(st.sampled_from(kinds)), draw(st.sampled_from(kinds))
    return [a(r) for r in range(size)], [b(r) for r in range(size)]


@settings(deadline=None)
@given(pairs())
def test_every_piece_sent_is_expected(pair: tuple[list[GridDecomposition], list[GridDecomposition]]) -> None:
    sources, targets = pair
    sent, expected = {}, {}
    for rank, (source, target) in enumerate(zip(sources, targets)):
        for peer, part in target.owners(source.local_start, source.local_shape):
            sent[rank, peer] = [(s.start, s.stop) for s in part]
        for peer, part in source.owners(target.local_start, target.local_shape):
            expected[peer, rank] = [(s.start, s.stop) for s in part]
    assert sent == expected


def test_transposed_pencils_talk_within_rows_of_the_process_grid() -> None:
    source, target = pencil((8, 8, 8), axis=2, rank=0, size=4), pencil((8, 8, 8), axis=1, rank=0, size=4)
    assert [rank for rank, _ in target.owners(source.local_start, source.local_shape)] == [0, 1]


def test_serial_redistribution_copies() -> None:
    grid = np.arange(24.0).reshape(2, 3, 4)
    a, b = slab((3, 4)), block((3, 4))
    got = redistribute(grid, a, b)
    assert np.array_equal(got, grid)
    assert not np.shares_memory(got, grid)
    assert np.array_equal(gather_grid(grid, a), grid)
    assert np.array_equal(scatter_grid(grid, a), grid)


def test_bad_input_is_named() -> None:
    a = slab((3, 4))
    with pytest.raises(ShapeError, match=r"expected \(..., 3, 4\)"):
        redistribute(np.zeros((4, 3)), a, a)
    with pytest.raises(DecompositionError, match="one grid"):
        redistribute(np.zeros((3, 4)), a, slab((4, 3)))
    with pytest.raises(DTypeError, match="object"):
        redistribute(np.zeros((3, 4), dtype=object), a, a)
    with pytest.raises(ShapeError, match="expected"):
        scatter_grid(np.zeros((4, 3)), a)
