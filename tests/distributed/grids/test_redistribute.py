"""Redistribution in one process; test_rank_counts.py and tests/mpi run it on several ranks."""

from __future__ import annotations

import numpy as np
import pytest

from sci.distributed import block, gather_grid, pencil, redistribute, scatter_grid, slab
from sci.errors import DecompositionError, DTypeError, ShapeError


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
