"""Compiling kernels for the CPU: what is started, what a source that does not compile says, and no compiler at all."""

from __future__ import annotations

import contextvars
import shutil
import subprocess
import sys

import numpy as np
import pytest
from scale_kernel import SOURCE, forget, libraries, scaled
from systems import cloud, relative, targets_in

import sci
from sci import kernels
from sci.errors import KernelCompileError
from sci.kernels import compile
from sci.potentials import RangeSeparatedPotential, direct_sum

BROKEN = SOURCE.replace("T(factor)", "T(factr)")


def test_a_broken_source_raises_with_its_line(folder):
    (folder / "scale.cu").write_text(BROKEN)
    line = 1 + BROKEN[: BROKEN.index("factr")].count("\n")
    with pytest.raises(KernelCompileError, match=rf"scale\.cu:{line}") as caught, sci.options(kernels="compiled"):
        scaled()
    assert "factr" in str(caught.value)
    assert "-O3" in str(caught.value)  # the command, to try by hand
    assert libraries() == set()


def test_a_broken_source_gives_one_warning_and_the_reference(folder):
    broken = folder / "particles" / "direct_sum.cu"
    shipped = contextvars.Context().run(kernels.kernel_folder)
    shutil.copytree(shipped, folder, dirs_exist_ok=True)
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


def test_without_a_compiler_the_references_give_the_answers(monkeypatch, tmp_path):
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
    monkeypatch.setattr(compile, "find_compiler", lambda _: None)
    forget()
    with (
        sci.options(cache_dir=str(tmp_path)),
        pytest.warns(RuntimeWarning, match="no C\\+\\+ compiler found.*SCI_COMPILER") as caught,
    ):
        found = answers()
    forget()
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
        "import subprocess, sys, scipy.special\n"  # of which an early version starts a process for NumPy
        "def refuse(*a, **k): raise AssertionError(a)\n"
        "subprocess.run = subprocess.Popen = refuse\n"
        "import sci.kernels, sci.potentials\n"
        "assert 'cupy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
