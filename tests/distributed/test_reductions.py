"""Sums and maxima over ranks: the order of the sum, NaN, booleans, segments, and what must agree."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import allreduce_max, allreduce_sum, reduce_scatter_rows
from sci.errors import DTypeError, InvalidValueError, ShapeError


@pytest.mark.parametrize("small", [0, 1 << 16])
def test_the_sum_is_that_in_the_order_of_the_ranks(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 + 1e16 - 1e16 in floating point depends on the order; both ways of summing have one."""
    monkeypatch.setattr("sci.distributed.reductions._SMALL_BYTES", small)
    parts = [1.0, 1e16, -1e16]
    found = on_ranks(3, lambda comm: allreduce_sum(np.full(5, parts[comm.rank]), comm))
    assert all(np.array_equal(sums, np.full(5, (1.0 + 1e16) - 1e16)) for sums in found)


def test_blocks_of_a_large_array_give_the_same_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sci.distributed.reductions._SMALL_BYTES", 0)
    monkeypatch.setattr("sci.distributed.reductions._BLOCK_BYTES", 64)
    whole = np.random.default_rng(0).normal(size=(3, 37))
    found = on_ranks(3, lambda comm: allreduce_sum(whole[comm.rank], comm))
    assert all(np.array_equal(sums, whole[0] + whole[1] + whole[2]) for sums in found)


def test_nan_wins_a_maximum() -> None:
    def body(comm: ThreadComm) -> np.ndarray:
        return allreduce_max(np.array([float(comm.rank), np.nan if comm.rank == 0 else 1.0]), comm)

    for found in on_ranks(3, body):
        assert found[0] == 2
        assert np.isnan(found[1])


def test_booleans_are_counted() -> None:
    found = on_ranks(3, lambda comm: allreduce_sum(np.array([True, comm.rank == 1]), comm))
    assert [counts.tolist() for counts in found] == [[3, 1]] * 3


def test_rows_go_to_the_ranks_that_counts_name() -> None:
    whole = np.random.default_rng(1).normal(size=(3, 6, 2))
    total = whole[0] + whole[1] + whole[2]
    found = on_ranks(3, lambda comm: reduce_scatter_rows(whole[comm.rank], comm, [1, 0, 5]))
    assert [len(rows) for rows in found] == [1, 0, 5]
    assert np.array_equal(np.concatenate(found), total)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda comm: allreduce_sum(np.zeros(2 + comm.rank), comm), ShapeError),
        (lambda comm: allreduce_max(np.zeros(2, "f4" if comm.rank else "f8"), comm), DTypeError),
        (lambda comm: reduce_scatter_rows(np.zeros(2), comm, [2, 0] if comm.rank else [0, 2]), InvalidValueError),
        (lambda comm: reduce_scatter_rows(np.zeros(2), comm, [1, 2]), InvalidValueError),
    ],
)
def test_what_differs_is_refused_on_all_ranks(make, kind) -> None:
    def body(comm: ThreadComm) -> None:
        with pytest.raises(kind):
            make(comm)

    on_ranks(2, body)
