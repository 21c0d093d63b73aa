"""Communicators and collectives of one process; tests/mpi runs them on several."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sci import distributed
from sci.distributed import agreement, collectives, staging
from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError


def test_one_process() -> None:
    assert distributed.size(None) == 1
    assert distributed.rank_of(None) == 0
    assert distributed.traffic(None) == {}
    distributed.reset_traffic(None)
    assert distributed.broadcast_object({"a": 1}) == {"a": 1}


def test_serial_collectives_return_new_arrays() -> None:
    x = np.arange(6.0).reshape(3, 2)
    for call in (distributed.allreduce_sum, distributed.allreduce_max, distributed.allgather_rows):
        got = call(x)
        assert np.array_equal(got, x)
        assert not np.shares_memory(got, x)
    assert np.array_equal(distributed.reduce_scatter_rows(x, None, [3]), x)
    assert distributed.broadcast(x) is x
    assert distributed.allreduce_sum([1, 2]).tolist() == [1, 2]
    assert distributed.allreduce_sum(np.array([True, False])).dtype == np.int64
    assert distributed.allreduce_sum(2.5).shape == ()


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: distributed.allgather_rows(np.float64(1.0)), ShapeError, "at least 1 axes"),
        (lambda: distributed.allreduce_sum(np.array(["a"])), DTypeError, "<U1"),
        (lambda: distributed.broadcast(np.zeros((1,) * 9)), ShapeError, "9 dimensions"),
        (lambda: distributed.reduce_scatter_rows(np.zeros(3), None, [2]), InvalidValueError, "expected 1 of them, 3"),
        (lambda: distributed.reduce_scatter_rows(np.float64(3)), ShapeError, "no axes"),
        (lambda: distributed.broadcast(None), InvalidValueError, "passes no array"),
        (lambda: distributed.broadcast(np.zeros(1), None, 1), InvalidValueError, "root is 1"),
    ],
)
def test_bad_input_is_named(call: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("ShapeError", ShapeError, "rank 3: flat"),
        ("SciError", SciError, "rank 3: flat"),
        ("ZeroDivisionError", SciError, "rank 3: ZeroDivisionError: flat"),
        ("annotations", SciError, "rank 3: annotations: flat"),
    ],
)
def test_errors_of_other_ranks_keep_class_and_text(name: str, kind: type, text: str) -> None:
    rebuilt = agreement._rebuild(3, name, "flat")
    assert type(rebuilt) is kind
    assert str(rebuilt) == text


def test_descriptions_differ_where_arrays_do() -> None:
    arrays = [np.zeros(s, d) for s in ((2,), (2, 1), (1, 2), ()) for d in ("f4", "f8", "c8", "i8", "u8", "?")]
    codes = {tuple(collectives.describe(a)) for a in arrays}
    assert len(codes) == len(arrays)
    for a in arrays:
        assert collectives._dtype_of(collectives.describe(a)[0]) == a.dtype
    assert collectives.describe(np.zeros(2, ">f8")) == collectives.describe(np.zeros(2, "<f8"))


def test_host_buffers_are_the_arrays_themselves() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(staging.to_buffer(x), x)
    assert staging.to_buffer(x.T).flags.c_contiguous
    assert staging.to_buffer(x.astype(">f8")).dtype.isnative
    assert staging.wire(np.zeros((2, 2), "f2")).dtype == np.int16
    assert staging.empty_buffer(np, (2, 3), "f4").shape == (2, 3)


def test_singleton_communicator_behaves_as_none() -> None:
    """Without mpirun a communicator has one rank; run apart, because MPI stays initialized in a process."""
    pytest.importorskip("mpi4py")
    code = (
        "from mpi4py import MPI\nimport numpy as np\nimport sci.distributed as d\nc = MPI.COMM_SELF\n"
        "assert d.size(c) == 1 and d.allreduce_sum(np.ones(2), c).tolist() == [1, 1]\n"
        "assert d.PencilFFT((4, 4), c).source == d.PencilFFT((4, 4)).source\n"
        "assert d.cuda_aware() in (True, False) and d.traffic(c) == {}\n"
        "try:\n    d.allreduce_sum(1, MPI.COMM_NULL)\n"
        "except d.communicators.InvalidValueError as e:\n    print('PASS')\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "PASS", done.stderr
