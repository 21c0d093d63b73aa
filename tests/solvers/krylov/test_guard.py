"""Functions of the caller on ranks: the first error is kept, and raised on all at once."""

from __future__ import annotations

from math import isnan

import pytest
from thread_ranks import on_ranks

from sci.errors import SciError
from sci.solvers.krylov.guard import Guard


def _fail():
    raise ValueError("no")


def test_one_process_raises_at_once():
    with pytest.raises(ValueError, match="no"):
        Guard().call(_fail, 0)
    assert Guard().call(lambda: 3, 0) == 3


def test_ranks_go_on_in_step_and_raise_together():
    def body(comm):
        guard, calls = Guard(comm), []
        first = guard.call(_fail if comm.Get_rank() == 1 else lambda: 1, 0)
        second = guard.call(lambda: calls.append(1) or 2, 0)
        failed = comm.Get_rank() == 1
        assert (first, second, len(calls)) == ((0, 0, 0) if failed else (1, 2, 1))
        assert isnan(guard.part(1.0)) == failed
        try:
            guard.settle()
        except (ValueError, SciError) as error:
            return type(error).__name__, str(error)

    found = on_ranks(3, body)
    assert found[1] == ("ValueError", "no")
    assert found[0] == found[2]
    assert found[0][1].startswith("rank 1:")
    on_ranks(2, lambda comm: Guard(comm).settle())
