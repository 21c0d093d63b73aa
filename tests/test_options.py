"""Settings: who wins, what is refused, and that they end with their block."""

from __future__ import annotations

import contextvars
import os
import threading
from typing import Any

import pytest

import sci
from sci.errors import InvalidValueError
from sci.options import get, recorded, snapshot


def test_arguments_win_over_blocks_over_variables_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCI_KERNELS", raising=False)
    assert get("kernels") == "auto"
    monkeypatch.setenv("SCI_KERNELS", "compiled")
    assert get("kernels") == "compiled"
    with sci.options(kernels="reference"):
        assert get("kernels") == "reference"
        assert get("kernels", "auto") == "auto"
    assert get("kernels") == "compiled"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCI_THREADS", "")
    assert get("threads") is None


def _fail_inside() -> None:
    with sci.options(threads=3):
        with sci.options(progress="off"):
            assert (get("threads"), get("progress")) == (3, "off")
        assert get("threads") == 3
        raise RuntimeError("stop")


def test_blocks_nest_and_are_undone_by_exceptions() -> None:
    before = get("threads")
    with pytest.raises(RuntimeError, match="stop"):
        _fail_inside()
    assert get("threads") == before


def test_none_in_a_block_unsets_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCI_THREADS", "7")
    with sci.options(threads=None):
        assert get("threads") is None
    assert get("threads") == 7


def test_a_block_is_local_to_its_thread_and_context() -> None:
    outside = contextvars.copy_context()
    seen = []
    with sci.options(threads=5):
        thread = threading.Thread(target=contextvars.Context().run, args=(lambda: seen.append(get("threads")),))
        thread.start()
        thread.join()
        seen.append(outside.run(get, "threads"))
    assert 5 not in seen
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kernels", "fast", "option kernels is 'fast': expected 'auto' or 'compiled' or 'native' or 'reference'"),
        ("threads", 0, "option threads is 0: expected an integer from 1 to 4096"),
        ("threads", "many", "option threads is 'many'"),
        ("speed", 1, "unknown option 'speed'; the options are kernels, "),
    ],
)
def test_a_bad_setting_is_refused_by_name(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message), sci.options(**{name: value}):
        pytest.fail("the block must not run")


def test_a_bad_variable_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCI_PROGRESS", "maybe")
    with pytest.raises(InvalidValueError, match="SCI_PROGRESS is 'maybe'"):
        get("progress")


def test_an_unknown_option_cannot_be_read() -> None:
    with pytest.raises(InvalidValueError, match="unknown option"):
        get("speed")


def test_the_snapshot_holds_every_option_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCI_CACHE_DIR", "somewhere")
    with sci.options(threads=2):
        now = snapshot()
    assert now["threads"] == 2
    assert now["cache_dir"] == "somewhere"
    assert set(now) == {
        *("kernels", "kernel_path", "cache_dir", "compiler", "cxxflags", "kernel_layers", "threads", "progress"),
        *("cpu_level", "cuda_aware_mpi", "external_data", "nccl"),
    }


def test_a_snapshot_tells_the_arguments_of_a_command() -> None:
    assert "arguments" not in snapshot()
    with recorded({"tol": 1e-6}):
        assert snapshot()["arguments"] == {"tol": 1e-6}
    assert "arguments" not in snapshot()


@pytest.mark.parametrize("table", [os.environ, dict(os.environ)], ids=["environ", "a plain dict"])
def test_variables_count_from_when_they_are_set(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", table)
    monkeypatch.delitem(table, "SCI_THREADS", raising=False)
    assert get("threads") is None
    monkeypatch.setitem(table, "SCI_THREADS", "3")
    assert get("threads") == 3
    monkeypatch.delitem(table, "SCI_THREADS")
    assert get("threads") is None
