"""Gathers and broadcasts: values, roots, objects, and what must agree."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import allgather_rows, broadcast, broadcast_object
from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError


@pytest.mark.parametrize("dtype", ["f8", "f2", "c8", "?", "i4"])
def test_rows_come_in_the_order_of_the_ranks(dtype: str) -> None:
    def body(comm: ThreadComm) -> np.ndarray:
        return allgather_rows(np.full((comm.rank, 2), comm.rank).astype(dtype), comm)

    want = np.repeat(np.arange(3), np.arange(3))[:, None].repeat(2, 1).astype(dtype)
    for found in on_ranks(3, body):
        assert found.dtype == want.dtype
        assert np.array_equal(found, want)


@pytest.mark.parametrize("root", [0, 2])
def test_a_broadcast_brings_shape_and_dtype_along(root: int) -> None:
    array = np.arange(6, dtype="i2").reshape(2, 3)

    def body(comm: ThreadComm) -> np.ndarray:
        return broadcast(array if comm.rank == root else None, comm, root)

    for found in on_ranks(3, body):
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_an_object_is_broadcast() -> None:
    value = {"tol": 1e-6, "names": ["a", "Ω"], "none": None}
    found = on_ranks(3, lambda comm: broadcast_object(value if comm.rank == 1 else None, comm, 1))
    assert found == [value] * 3


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda comm: allgather_rows(np.zeros((2, 2 + comm.rank)), comm), ShapeError),
        (lambda comm: allgather_rows(np.zeros(2, "f4" if comm.rank else "f8"), comm), DTypeError),
        (lambda comm: broadcast(np.zeros(2), comm, comm.rank), SciError),
        (lambda comm: broadcast(None, comm, 0), InvalidValueError),
        (lambda comm: broadcast(np.zeros(2), comm, 2), InvalidValueError),
    ],
)
def test_what_differs_is_refused_on_all_ranks(call, kind) -> None:
    def body(comm: ThreadComm) -> None:
        with pytest.raises(kind):
            call(comm)

    on_ranks(2, body)
