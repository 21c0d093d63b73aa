"""Collective entries refuse, on all ranks, arguments that must agree and do not, and functions that fail on one."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collective_entries import DIFFER, FAIL, Body
from thread_ranks import ThreadComm, on_ranks

import sci
from sci.errors import SciError

ROOMS = sorted(
    path.parent.name for path in Path(sci.__file__).parent.glob("*/__init__.py") if path.parent.name[0] not in "_"
)
LOCAL = {
    *("GridDecomposition", "abort_on_error", "launched", "positions", "rank_of", "recv", "reset_traffic", "send"),
    *("shard", "shift", "size", "split", "traffic", "RankGrid", "copy_to_ranks", "SPDNet", "SPDNet.loss", "UNet.loss"),
    *("agreed", "job", "save_potential_file", "rank_grid", "Deferred.settle", "ring_steps"),
    *("LanczosQuadrature", "Observations", "ParameterLayout", "ParameterLayout.whole", "ParameterLayout.norm"),
    "ParameterLayout.collected",
}
"""With a communicator, but not collective, or with nothing that has to agree, or tested in a file of their own."""


# A ParallelTransformer splits its communicator, which threads cannot: tests/mpi runs the whole table.


def error_of(body: Body, comm: ThreadComm, folder: Path) -> str:
    try:
        body(comm, comm.rank == comm.size - 1, folder)
    except SciError as error:
        return str(error)
    return "no error"


@pytest.mark.parametrize("name", [name for name in DIFFER if not name.startswith("ParallelTransformer")])
def test_what_differs_between_ranks_is_named_on_all(name: str, tmp_path: Path) -> None:
    argument = name.partition(":")[2].partition(",")[0]
    first, second = on_ranks(2, lambda comm: error_of(DIFFER[name], comm, tmp_path))
    assert argument in first
    assert "differ" in first
    assert first == second


@pytest.mark.parametrize("name", FAIL)
def test_a_function_that_fails_on_one_rank_fails_on_all(name: str, tmp_path: Path) -> None:
    def body(comm: ThreadComm) -> str:
        odd = comm.rank == comm.size - 1
        with pytest.raises(RuntimeError if odd else SciError) as caught:
            FAIL[name](comm, odd, tmp_path)
        return str(caught.value)

    first, second = on_ranks(2, body)
    assert first == f"rank 1: RuntimeError: {second}"


def entries() -> Iterator[tuple[str, Any]]:
    """Yield every public function, class and method of a class, by name."""
    for room in ROOMS:
        face = importlib.import_module(f"sci.{room}")
        for name in getattr(face, "__all__", ()):
            yield name, getattr(face, name)
            if inspect.isclass(getattr(face, name)):
                members = [(n, m) for n, m in vars(getattr(face, name)).items() if n[0] != "_"]
                yield from ((f"{name}.{n}", getattr(m, "__func__", m)) for n, m in members)


def has_comm(entry: Any) -> bool:
    try:
        return "comm" in inspect.signature(getattr(entry, "forward", entry)).parameters
    except (TypeError, ValueError):
        return False


def test_every_collective_entry_is_in_the_table() -> None:
    """A new function with a communicator, or one that is declared to start with an agreement, needs a row above."""
    found = {
        name
        for name, entry in entries()
        if has_comm(entry) or getattr(getattr(entry, "signature_of_entry", None), "collective", False)
    }
    classes = {
        name
        for name, entry in entries()
        if inspect.isclass(entry)
        and getattr(vars(entry).get("__init__"), "signature_of_entry", None)
        and vars(entry)["__init__"].signature_of_entry.collective
    }
    tested = {key.partition(":")[0] for key in (*DIFFER, *FAIL)}
    assert found | classes <= tested | LOCAL, (found | classes) - tested - LOCAL
    assert {name for name in LOCAL if not any(name == entry for entry, _ in entries())} == set()
