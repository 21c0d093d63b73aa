"""Finding, compiling, caching and launching kernels on the CPU, and what happens when that fails."""

from __future__ import annotations

import contextvars
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from systems import cloud, relative, targets_in

import sci
from sci import kernels
from sci.errors import DeviceMismatchError, DTypeError, KernelCompileError, ShapeError
from sci.kernels import Kernel, launch
from sci.potentials import RangeSeparatedPotential, direct_sum
from sci.potentials.direct import direct_sum_kernel

SOURCE = """
#include "host.h"
SCI_KERNEL scale(SCI_INDEX const double* __restrict__ x, double* __restrict__ out, const i64 n, const double factor) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) out[i] = factor * x[i];
        }
    }
}
"""
SCALE = Kernel("scale.cu", "scale", "x: f64[n], out: f64[n], n: i64, factor: f64")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of sources and an empty cache, in use for the test."""
    sources = tmp_path / "sources"
    sources.mkdir()
    shutil.copy(kernels.kernel_folder() / "host.h", sources)
    (sources / "scale.cu").write_text(SOURCE)
    kernels._host_function.cache_clear()
    kernels._compiles.cache_clear()
    with sci.options(kernel_path=str(sources), cache_dir=str(tmp_path / "cache")):
        yield sources
    kernels._host_function.cache_clear()
    kernels._compiles.cache_clear()


def scaled(n: int = 40, factor: float = 3.0) -> np.ndarray:
    out = np.zeros(n)
    launch(SCALE, -(-n // kernels.HOST_BLOCK), np.arange(float(n)), out, n, factor)
    return out


def libraries() -> set[str]:
    return {path.name for path in kernels.cache_folder().glob("*.so")}


def test_a_kernel_of_another_folder_runs(folder):
    np.testing.assert_array_equal(scaled(), 3.0 * np.arange(40))
    np.testing.assert_array_equal(scaled(0), np.zeros(0))


def test_the_variable_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("SCI_KERNEL_PATH", str(folder))
    assert contextvars.Context().run(kernels.kernel_folder) == folder  # outside of every block of options


def test_a_missing_source_names_the_variable(folder):
    (folder / "scale.cu").unlink()
    with pytest.raises(KernelCompileError, match=r"scale\.cu is not in .*SCI_KERNEL_PATH"):
        scaled()


def test_the_cache_is_used_again(folder):
    first = kernels._build_host(SCALE)
    stamp = first.stat().st_mtime_ns
    assert kernels._build_host(SCALE) == first
    assert first.stat().st_mtime_ns == stamp
    assert libraries() == {first.name}
    assert [p for p in kernels.cache_folder().iterdir() if p.is_dir()] == []  # no working folder is left


def test_the_key_holds_all_that_changes_the_binary(folder, monkeypatch):
    keys = [kernels._build_host(SCALE)]
    keys.append(kernels._build_host(SCALE, ("-DSOMETHING",)))
    (folder / "scale.cu").write_text(SOURCE + "// more\n")
    keys.append(kernels._build_host(SCALE))
    (folder / "host.h").write_text((folder / "host.h").read_text() + "// more\n")
    keys.append(kernels._build_host(SCALE))
    keys.append(kernels._build_host(Kernel("scale.cu", "scale", SCALE.signature.replace("factor", "other"))))
    path, version = kernels.find_compiler(None)
    monkeypatch.setattr(kernels, "find_compiler", lambda _: (path, version + " (another)"))
    keys.append(kernels._build_host(SCALE))
    monkeypatch.setattr(kernels, "_processor", lambda: "another")
    keys.append(kernels._build_host(SCALE))
    assert len(set(keys)) == len(keys) == 7


def test_a_changed_source_is_compiled_again(folder):
    assert scaled()[1] == 3.0
    (folder / "scale.cu").write_text(SOURCE.replace("factor * x[i]", "-factor * x[i]"))
    kernels._host_function.cache_clear()  # a new process
    assert scaled()[1] == -3.0


COMPILE = """
import numpy as np
from sci.kernels import Kernel, launch
out = np.zeros(40)
launch(Kernel("scale.cu", "scale", {signature!r}), 3, np.arange(40.0), out, 40, 3.0)
assert out[39] == 117.0
"""


def test_processes_that_compile_at_once(folder, tmp_path):
    """Four processes share one library; the compiler, wrapped to count, runs twice: to compile and to link."""
    path, _ = kernels.find_compiler(None)
    counter, wrapper = tmp_path / "count", tmp_path / "cxx"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) ;; *) echo >> {counter}; sleep 0.2 ;; esac\nexec {path} "$@"\n'
    )
    wrapper.chmod(0o755)
    variables = {
        **os.environ,
        "SCI_KERNEL_PATH": str(folder),
        "SCI_CACHE_DIR": str(kernels.cache_folder()),
        "SCI_COMPILER": str(wrapper),
    }
    command = [sys.executable, "-c", COMPILE.format(signature=SCALE.signature)]
    started = [subprocess.Popen(command, env=variables, stderr=subprocess.PIPE) for _ in range(4)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    assert len(libraries()) == 1
    assert counter.read_text().count("\n") == 2


def test_a_killed_compile_leaves_no_library(folder, monkeypatch):
    def killed(command: list[str], source: str) -> None:
        Path(command[command.index("-o") + 1]).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(kernels, "_run_compiler", killed)
    with pytest.raises(KeyboardInterrupt):
        kernels._build_host(SCALE)
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
    kernels._scratch_cache.cache_clear()
    with sci.options(cache_dir=str(blocked)):
        with pytest.warns(RuntimeWarning, match=r"blocked.*SCI_CACHE_DIR"):
            assert scaled()[1] == 3.0
        kernels._host_function.cache_clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert scaled(50)[1] == 3.0  # and no second warning


BROKEN = SOURCE.replace("factor * x[i]", "factr * x[i]")


def test_a_broken_source_raises_with_its_line(folder):
    (folder / "scale.cu").write_text(BROKEN)
    line = 1 + BROKEN[: BROKEN.index("factr")].count("\n")
    with pytest.raises(KernelCompileError, match=rf"scale\.cu:{line}") as caught, sci.options(kernels="compiled"):
        scaled()
    assert "factr" in str(caught.value)
    assert "-O3" in str(caught.value)  # the command, to try by hand
    assert libraries() == set()


def test_a_broken_source_gives_one_warning_and_the_reference(folder):
    for path in Path(kernels.__file__).parent.parent.glob("kernels/*.cu"):
        shutil.copy(path, folder)
    broken = folder / "direct_sum.cu"
    broken.write_text(broken.read_text().replace("sum[s] += value", "sum[s] += valu"))
    particles = cloud(20)
    points = targets_in(particles, 30)
    with sci.options(kernels="reference"):
        expected = direct_sum(particles, points)
    with pytest.warns(RuntimeWarning, match=r"NumPy reference[\s\S]*direct_sum\.cu:\d+[\s\S]*valu") as caught:
        found = [direct_sum(particles, points) for _ in range(2)]
    assert len(caught) == 1
    np.testing.assert_array_equal(found, [expected, expected])
    with sci.options(kernels="compiled"), pytest.raises(KernelCompileError, match="valu"):
        direct_sum(particles, points)


def test_without_a_compiler_the_references_give_the_answers(monkeypatch):
    particles = cloud(40)
    points = targets_in(particles, 60)

    def answers() -> list[np.ndarray]:
        phi = RangeSeparatedPotential(particles, 1e-5, alpha=0.5)
        axes = [np.linspace(1.0, 8.0, n) for n in (5, 4, 3)]
        return [
            phi(points),
            phi.field(points),
            phi.on_grid(*axes),
            np.array([phi.energy()]),
            direct_sum(particles, points),
        ]

    expected = answers()
    monkeypatch.setattr(kernels, "find_compiler", lambda _: None)
    kernels.compiled_kernels_available.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="no C\\+\\+ compiler found.*SCI_COMPILER") as caught:
            found = answers()
    finally:
        kernels.compiled_kernels_available.cache_clear()
    assert len(caught) == 1
    assert [relative(a, b) < 1e-12 for a, b in zip(found, expected)] == [True] * 5


def test_no_compiler_raises_where_compiled_kernels_are_asked_for(folder):
    with (
        sci.options(kernels="compiled", compiler="no-such-compiler"),
        pytest.raises(KernelCompileError, match="SCI_COMPILER"),
    ):
        scaled()


def test_importing_kernels_starts_no_compiler_and_no_device():
    code = (
        "import subprocess, sys\n"
        "def refuse(*a, **k): raise AssertionError(a)\n"
        "subprocess.run = subprocess.Popen = refuse\n"
        "import sci.kernels, sci.potentials\n"
        "assert 'cupy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


GOOD = {"targets": np.zeros((5, 3)), "sources": np.ones((4, 4)), "out": np.zeros((5, 1)), "m": 5, "n": 4}


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("targets", np.zeros((5, 3), np.float32), DTypeError, "targets.*float32"),
        ("targets", [[0.0, 0.0, 0.0]] * 5, DTypeError, "targets.*list"),
        ("targets", np.zeros((3, 5)).T, ShapeError, "targets.*not C-contiguous"),
        ("targets", np.zeros((5, 6))[:, ::2], ShapeError, "targets.*not C-contiguous"),
        ("targets", np.zeros((5, 2)), ShapeError, r"targets.*\(5, 2\)"),
        ("targets", np.zeros(15), ShapeError, r"targets.*\(15,\)"),
        ("out", np.zeros((6, 1)), ShapeError, r"out.*\(6, 1\)"),
        ("out", np.zeros((5, 4)), ShapeError, r"out.*\(5, 4\)"),
        ("m", 6, ShapeError, "argument m .* is 6.*5"),
        ("n", 3, ShapeError, "argument n .* is 3.*4"),
    ],
)
def test_the_launcher_refuses(name, value, error, message):
    arguments = {**GOOD, name: value}
    with pytest.raises(error, match=message):
        launch(direct_sum_kernel(False, False), 1, *arguments.values(), 0.0, 0.0)


def test_the_launcher_counts_arguments():
    with pytest.raises(ShapeError, match="takes 7 arguments, got 2"):
        launch(direct_sum_kernel(False, False), 1, GOOD["targets"], GOOD["sources"])


def test_the_launcher_refuses_mixed_devices():
    class Foreign:
        dtype, ndim, shape, flags = np.dtype(float), 2, (4, 4), np.ones((4, 4)).flags

    Foreign.__module__ = "cupy"
    arguments = {**GOOD, "sources": Foreign()}
    with pytest.raises(DeviceMismatchError):
        launch(direct_sum_kernel(False, False), 1, *arguments.values(), 0.0, 0.0)


def test_the_answer_does_not_depend_on_the_threads():
    particles = cloud(300)
    points = targets_in(particles, 500)
    with sci.options(threads=1):
        one = direct_sum(particles, points)
    with sci.options(threads=3):
        np.testing.assert_array_equal(direct_sum(particles, points), one)


def test_threads_follow_the_option_then_the_variable(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert kernels.host_threads() == 5
    with sci.options(threads=2):
        assert kernels.host_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert kernels.host_threads() >= 1
