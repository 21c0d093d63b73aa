"""Ranks, here threads, that go on together or raise together."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci import distributed
from sci.distributed import abort_on_error, agreed, agreement, form
from sci.errors import ConvergenceError, DecompositionError, DTypeError, InvalidValueError, SciError, ShapeError


def raised(size: int, body: Callable[[ThreadComm], Any]) -> list[Exception]:
    """Return what `body` raises on each rank."""

    def run(comm: ThreadComm) -> Exception:
        try:
            body(comm)
        except Exception as error:
            return error
        raise AssertionError(f"rank {comm.rank} raised nothing")

    return on_ranks(size, run)


def test_one_process_pays_and_compares_nothing() -> None:
    with agreed(None, "call") as agreement:
        agreement.same(anything=object())
        agreement.gather(3, 4)
    assert agreement.table.tolist() == [[3, 4]]
    with pytest.raises(ConvergenceError, match=r"^stuck$"), agreed(None):
        raise ConvergenceError("stuck")


def test_equal_arguments_cost_one_small_message() -> None:
    def body(comm: ThreadComm) -> list[list[int]]:
        with agreed(comm, "call") as agreement:
            agreement.same(tol=1e-3, charges=np.arange(1000.0), order=("a", None))
            agreement.gather(comm.rank, 7)
        sent = distributed.traffic(comm)["agree"]
        assert (sent.messages, sent.bytes) == (2, 2 * 128)
        return agreement.table.tolist()

    assert on_ranks(3, body) == [[[0, 7], [1, 7], [2, 7]]] * 3


@pytest.mark.parametrize(
    ("values", "kind", "says"),
    [
        ({"padding": (4.0, 4.05, 4.0)}, InvalidValueError, "padding differs between ranks: 4.0 on ranks 0, 2; 4.05 on"),
        ({"seed": (1, 1, None)}, InvalidValueError, "seed differs between ranks: 1 on ranks 0, 1; None on rank 2"),
        ({"a": (1, 1, 1), "b": "xyz"}, InvalidValueError, "b differs between ranks: 'x' on rank 0; 'y' on rank 1; 'z'"),
        ({"q": (np.ones(9), np.ones(9), np.zeros(9))}, InvalidValueError, r"q differs .*: an array of shape \(9,\) of"),
        ({"q": (form(np.ones(2)), form(np.ones(3)), form(np.ones(2)))}, ShapeError, r"\(3,\) of float64 on rank 1"),
        ({"q": (form(np.ones(2)), form(np.ones(3, "f4")), form(np.ones(2)))}, DTypeError, "float32 on rank 1"),
    ],
)
def test_the_argument_and_the_ranks_that_differ_are_named(values: dict[str, Any], kind: type, says: str) -> None:
    def body(comm: ThreadComm) -> None:
        with agreed(comm, "call") as agreement:
            agreement.same(**{name: each[comm.rank] for name, each in values.items()})

    errors = raised(3, body)
    assert [type(error) for error in errors] == [kind] * 3
    assert len({str(error) for error in errors}) == 1
    with pytest.raises(kind, match=f"^call: .*{says}.*; expected the same on all ranks$"):
        raise errors[0]


def test_the_class_of_a_difference_can_be_chosen() -> None:
    def body(comm: ThreadComm) -> None:
        with agreed(comm) as agreement:
            agreement.same(DecompositionError, proc_shape=(comm.rank, 1))

    assert [type(error) for error in raised(2, body)] == [DecompositionError] * 2


def test_ranks_that_make_different_calls_say_so() -> None:
    def body(comm: ThreadComm) -> None:
        (distributed.allreduce_sum if comm.rank else distributed.allreduce_max)(np.ones(2), comm)

    for error in raised(2, body):
        assert str(error) == (
            "the ranks make different calls: 'allreduce_max' on rank 0; 'allreduce_sum' on rank 1; "
            "expected the same on all ranks"
        )


def test_an_argument_that_some_ranks_lack_is_named() -> None:
    def body(comm: ThreadComm) -> None:
        with agreed(comm) as agreement:
            agreement.same(tol=1.0, **({"mask": 3} if comm.rank else {}))

    assert "mask differs between ranks: nothing on rank 0; 3 on rank 1" in str(raised(2, body)[0])


def test_the_error_of_one_rank_is_raised_on_all() -> None:
    own = OSError("no space left")

    def body(comm: ThreadComm) -> None:
        with agreed(comm, "save") as agreement:
            agreement.same(path="a.h5")
            if comm.rank == 1:
                raise own

    errors = raised(3, body)
    assert errors[1] is own
    assert [str(error) for error in errors[::2]] == ["rank 1: OSError: no space left"] * 2
    assert type(errors[0]) is SciError


def test_an_error_between_collective_calls_is_raised_on_all() -> None:
    """The failed rank meets the others in the agreement with which their next call begins."""

    def body(comm: ThreadComm) -> None:
        with agreed(comm, "outer"):
            assert distributed.allreduce_sum(np.ones(1), comm) == comm.size
            if comm.rank == 1:
                raise ConvergenceError("diverged")
            with agreed(comm, "inner"):
                distributed.allreduce_sum(np.ones(1), comm)

    errors = raised(3, body)
    assert [type(error) for error in errors] == [ConvergenceError] * 3
    assert "rank 1: diverged" in str(errors[2])


def test_work_goes_on_after_an_agreed_error() -> None:
    def body(comm: ThreadComm) -> float:
        for _ in range(3):
            with pytest.raises(ShapeError), agreed(comm):
                distributed.allreduce_sum(np.ones(1 + comm.rank), comm)
        return float(distributed.allreduce_sum(np.ones(1), comm)[0])

    assert on_ranks(2, body) == [2.0, 2.0]


def test_at_most_fourteen_integers_are_gathered() -> None:
    with pytest.raises(InvalidValueError, match="at most 14"), agreed(None) as agreement:
        agreement.gather(*range(15))


def test_ranks_are_listed_in_runs() -> None:
    assert agreement._rank_list([3]) == "rank 3"
    assert agreement._rank_list([0, 1, 3, 4, 5, 6, 9]) == "ranks 0, 1, 3 to 6, 9"


def test_nothing_runs_after_a_failed_block_even_if_abort_returns(capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    comm = SimpleNamespace(Get_size=lambda: 2, Get_rank=lambda: 1, Abort=codes.append)
    with pytest.raises(ZeroDivisionError), abort_on_error(comm):
        raise ZeroDivisionError("late")
    assert codes == [1]
    assert "rank 1 of 2 failed" in capsys.readouterr().err
    with pytest.raises(SystemExit), abort_on_error(comm):
        sys.exit(0)
    assert codes == [1]


def test_an_error_that_is_raised_from_one_of_all_ranks_is_one_of_all_ranks() -> None:
    channel = SimpleNamespace()
    inner = agreement._marked(ShapeError("flat"), channel)
    outer = ValueError("in other words")
    outer.__cause__ = inner
    assert agreement.agreed_over(outer) == agreement.agreed_over(inner) == (channel,)
    assert agreement.agreed_over(ValueError("of this rank")) == agreement.agreed_over(None) == ()


def test_an_error_that_is_its_own_cause_ends() -> None:
    error = InvalidValueError("round")
    error.__cause__ = error
    assert agreement.agreed_over(error) == ()
