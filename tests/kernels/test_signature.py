"""What is read of a kernel's source: arguments, shapes, instances; and what is refused."""

from __future__ import annotations

import contextvars
from pathlib import Path

import numpy as np
import pytest
from scale_kernel import SOURCE, scale_kernel, scaled

import sci
from sci import kernels
from sci.errors import DTypeError, InvalidValueError, KernelCompileError
from sci.kernels import Kernel, every_kernel, get_kernel

FILL = """
// Fills.
// Instances (host): <float|double, signed char|T, 2|3, false>
//                   <double, T, 4, true>
template <typename T, typename D, int P, bool WIDE>
SCI_KERNEL fill(SCI_INDEX const D* d /*[n, P]*/, T* __restrict__ out /*[n, WIDE ? 4 : 1]*/, Half* codes /*[P, 3]*/,
                const i64* box /*[7]*/, const i64 n, const T value) {}
SCI_KERNEL plain(SCI_INDEX int* x /*[n]*/, const i64 n) {}
"""


@pytest.fixture
def fill(tmp_path: Path):
    (tmp_path / "fill.cu").write_text(FILL)
    with sci.options(kernel_path=str(tmp_path)):
        yield lambda *arguments: get_kernel("fill.cu", "fill", *arguments)


def test_parameters_are_those_of_the_source(fill):
    found = fill(np.float64, np.int8, 3, False).parameters
    assert [(p.name, p.c_type, str(p.dtype), p.dims, p.output) for p in found] == [
        ("d", "signed char", "int8", ("n", 3), False),
        ("out", "double", "float64", ("n", 1), True),
        ("codes", "Half", "uint16", (3, 3), True),
        ("box", "i64", "int64", (7,), False),
        ("n", "i64", "int64", None, False),
        ("value", "double", "float64", None, False),
    ]
    assert fill(np.float64, np.float64, 4, True).parameters[1].dims == ("n", 4)
    assert fill(np.float64, np.int8, 3, False).lengths == ((4, "n"),)


def test_instances_are_those_of_the_source(fill):
    assert [k.name for k in every_kernel("fill.cu")] == [
        "fill<float, signed char, 2, false>",
        "fill<float, signed char, 3, false>",
        "fill<float, float, 2, false>",
        "fill<float, float, 3, false>",
        "fill<double, signed char, 2, false>",
        "fill<double, signed char, 3, false>",
        "fill<double, double, 2, false>",
        "fill<double, double, 3, false>",
        "fill<double, double, 4, true>",
        "plain",
    ]
    assert [k.host_only for k in every_kernel()] == [True] * 9 + [False]


def test_an_instance_is_one_object_however_it_is_asked_for(fill):
    first = fill(np.float32, np.int8, 2, False)
    assert fill("float32", np.dtype("i1"), np.int64(2), np.bool_(False)) is first
    assert first in every_kernel()
    assert fill(np.float32, np.int8, 2, 0) is not first  # an int is no bool
    assert repr(first) == "Kernel('fill<float, signed char, 2, false>' of fill.cu)"


def test_an_instance_that_is_not_declared_is_refused(fill):
    undeclared = fill(np.float32, np.int8, 4, False)
    assert not undeclared.is_declared
    with pytest.raises(InvalidValueError, match=r"no instance fill<float, signed char, 4, false>.*<double, "):
        _ = undeclared.parameters
    with pytest.raises(InvalidValueError, match="no instance"):
        kernels.use_compiled(undeclared, np.zeros(1))


def test_a_dtype_of_no_kernel_is_refused(fill):
    with pytest.raises(DTypeError, match="complex128"):
        fill(np.complex128, np.int8, 2, False)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("T* __restrict__ out /*[n]*/", "T* __restrict__ out"),
        ("const i64 n", "const i64 n /*[3]*/"),
        ("const i64 n", "const long n"),
        ("const T* __restrict__ x /*[n]*/", "const T& x"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_refused(folder, before, after):
    assert before in SOURCE
    (folder / "scale.cu").write_text(SOURCE.replace(before, after))
    with pytest.raises(KernelCompileError, match=r"cannot read the parameter `.*scale of scale\.cu"):
        _ = scale_kernel().parameters


def test_a_missing_source_names_the_variable(folder):
    (folder / "scale.cu").unlink()
    with pytest.raises(KernelCompileError, match=r"scale\.cu is not in .*SCI_KERNEL_PATH"):
        scaled()


def test_a_missing_template_is_named(folder):
    with pytest.raises(KernelCompileError, match=r"scale\.cu .*has no kernel shift"):
        _ = get_kernel("scale.cu", "shift").parameters


def test_the_variable_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("SCI_KERNEL_PATH", str(folder))
    assert contextvars.Context().run(kernels.kernel_folder) == folder  # outside of every block of options


def test_every_source_of_the_library_is_read():
    """Each template has instances, each instance once, and each parameter of each is understood."""
    everything = every_kernel()
    folder = kernels.kernel_folder()
    sources = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.cu")}
    found = {(k.file, k.template) for k in everything}
    assert len(found) == sum(text.count("\nSCI_KERNEL ") for text in sources.values())
    assert len({(k.file, k.name) for k in everything}) == len(everything) > 200
    assert all(_is_whole(k) for k in everything)


def _is_whole(kernel: Kernel) -> bool:
    """An array to write, lengths that arrays fix, no name twice."""
    names = [p.name for p in kernel.parameters]
    return any(p.output for p in kernel.parameters) and len(set(names)) == len(names) and kernel.is_declared
