"""The folder of compiled kernels: what is kept, under which key, by whom, and what happens if it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from scale_kernel import SOURCE, built, forget, libraries, scale_kernel, scaled

import sci
from sci import kernels
from sci.kernels import cache, compile
from sci.kernels.compile import build_host


def test_the_cache_is_used_again(folder):
    first = built()
    stamp = first.stat().st_mtime_ns
    assert built() == first
    assert first.stat().st_mtime_ns == stamp
    assert libraries() == {first.name}
    assert [p for p in kernels.cache_folder().iterdir() if p.is_dir()] == []  # no working folder is left


def test_the_key_holds_all_that_changes_the_binary(folder, monkeypatch):
    keys = [built(), built("-DSOMETHING"), build_host(scale_kernel("float32"), kernels.cache_folder())]
    (folder / "scale.cu").write_text(SOURCE + "// more\n")
    keys.append(built())
    (folder / "host.h").write_text((folder / "host.h").read_text() + "// more\n")
    keys.append(built())
    path, version = kernels.find_compiler(None)
    monkeypatch.setattr(compile, "find_compiler", lambda _: (path, version + " (another)"))
    keys.append(built())
    monkeypatch.setattr(compile, "_processor", lambda: "another")
    keys.append(built())
    assert len(set(keys)) == len(keys) == 7


def test_a_changed_source_is_compiled_again(folder):
    assert scaled()[1] == 3.0
    (folder / "scale.cu").write_text(SOURCE.replace("T(factor) * x[i]", "-T(factor) * x[i]"))
    forget()  # a new process
    assert scaled()[1] == -3.0


COMPILE = """
from scale_kernel import scaled
assert scaled()[39] == 117.0
"""


def test_processes_that_compile_at_once(folder, tmp_path):
    """Four processes share one library; the compiler, wrapped to count, runs twice: to compile and to link."""
    path, _ = kernels.find_compiler(None)
    counter, wrapper = tmp_path / "count", tmp_path / "cxx"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) ;; *) echo >> {counter}; sleep 0.2 ;; esac\nexec {path} "$@"\n'
    )
    wrapper.chmod(0o755)
    cases = Path(__file__).parents[1] / "cases"
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(cases), os.environ.get("PYTHONPATH", "")]),
        "SCI_KERNEL_PATH": str(folder),
        "SCI_CACHE_DIR": str(kernels.cache_folder()),
        "SCI_COMPILER": str(wrapper),
    }
    started = [
        subprocess.Popen([sys.executable, "-c", COMPILE], env=variables, stderr=subprocess.PIPE) for _ in range(4)
    ]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    assert len(libraries()) == 1
    assert counter.read_text().count("\n") == 2


def test_a_killed_compile_leaves_no_library(folder, monkeypatch):
    def killed(command: list[str], source: str) -> None:
        Path(command[command.index("-o") + 1]).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(compile, "_run_compiler", killed)
    with pytest.raises(KeyboardInterrupt):
        built()
    monkeypatch.undo()
    assert libraries() == set()
    assert scaled()[1] == 3.0


@pytest.mark.parametrize("reason", ["a file is in the way", "no permission"])
def test_an_unwritable_cache_costs_a_warning(folder, tmp_path, monkeypatch, reason):
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    if reason == "no permission":

        def refused(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", str(blocked))

        monkeypatch.setattr(Path, "mkdir", refused)
    cache._scratch_cache.cache_clear()
    with sci.options(cache_dir=str(blocked)):
        with pytest.warns(RuntimeWarning, match=r"blocked.*SCI_CACHE_DIR"):
            assert scaled()[1] == 3.0
        forget()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert scaled(50)[1] == 3.0  # and no second warning
