"""Grids of ranks: coordinates, axes, and sizes that do not fit."""

from __future__ import annotations

import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import DecompositionError
from sci.sequence import RankGrid, rank_grid


def test_one_rank_is_a_grid_without_communicators() -> None:
    grid = rank_grid(None)
    assert grid.shape == (1, 1, 1, 1)
    assert grid.coordinates == (0, 0, 0, 0)
    assert repr(grid) == "RankGrid(data=1, pipeline=1, sequence=1, tensor=1; rank 0 at (0, 0, 0, 0))"
    grid.free()


@pytest.mark.parametrize("axes", [{"tensor": 2}, {"data": 3}, {"pipeline": 0}, {"sequence": -1, "tensor": -1}])
def test_products_other_than_the_number_of_ranks_are_refused(axes: dict[str, int]) -> None:
    with pytest.raises(DecompositionError, match="expected as many ranks as the product"):
        rank_grid(None, **axes)


def test_tensor_ranks_are_neighbors() -> None:
    """Split is recorded: the color of an axis holds the coordinates along all others."""
    calls: dict[int, list[int]] = {}

    def body(comm: ThreadComm) -> RankGrid:
        calls[comm.rank] = []
        comm.Split = lambda color, key: calls[comm.rank].append(color)  # type: ignore[attr-defined]
        return rank_grid(comm, data=2, tensor=2)

    on_ranks(4, body)
    data, pipeline, sequence, tensor, replicas = (list(column) for column in zip(*(calls[r] for r in range(4))))
    assert tensor == [tensor[0]] * 2 + [tensor[2]] * 2
    assert tensor[0] != tensor[2]
    assert data == replicas == [data[0], data[1]] * 2
    assert data[0] != data[1]
    assert len(set(pipeline)) == len(set(sequence)) == 4
