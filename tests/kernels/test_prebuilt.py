"""Kernels that come compiled: the level that is used, the answers, and what makes the compiler step in."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scale_kernel import SOURCE, forget, libraries, scale_kernel, scaled

import sci
from sci.kernels import compile, every_kernel, prebuild, prebuilt

COMPILER = compile.find_compiler
FOLDER = prebuilt.folder
pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="kernels come compiled for Linux on x86-64"
)


@pytest.fixture
def brought(folder, tmp_path, monkeypatch):
    """The kernel of the test, compiled for two levels and in use; there is no compiler any more."""
    place = tmp_path / "prebuilt"
    prebuild.build(place, "x86-64-v2 x86-64-v3", every_kernel())
    monkeypatch.setattr(prebuilt, "folder", lambda: place)
    monkeypatch.setattr(compile, "find_compiler", lambda _: None)
    forget()
    yield place
    forget()


def test_kernels_run_without_a_compiler_and_without_a_process(brought, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a process is started")

    monkeypatch.setattr(subprocess, "Popen", refused)
    assert prebuilt.prebuilt_level() in ("x86-64-v2", "x86-64-v3")
    with sci.options(kernels="compiled"):
        np.testing.assert_array_equal(scaled(), 3.0 * np.arange(40))
        with sci.options(threads=2):
            np.testing.assert_array_equal(scaled(1000), 3.0 * np.arange(1000))
    assert libraries() == set()


def test_the_level_can_be_lowered_and_not_raised(brought):
    with sci.options(cpu_level="x86-64-v2"):
        assert prebuilt.prebuilt_level() == "x86-64-v2"
        lowest = compile.host_function(scale_kernel(), compile.HostSettings.of_now())
        assert scaled()[1] == 3.0
    highest = prebuilt.prebuilt_level()
    found = compile.host_function(scale_kernel(), compile.HostSettings.of_now())
    assert (highest == "x86-64-v2") == (found is lowest), "a level chosen later serves kernels that ran before, too"
    with sci.options(cpu_level="x86-64-v4"):
        assert prebuilt.prebuilt_level() == highest
    code = prebuild._CPU.replace("sci_cpu_level", "main")
    (brought / "cpu.cpp").write_text(code)
    subprocess.run(["gcc", str(brought / "cpu.cpp"), "-o", str(brought / "cpu")], check=True)
    levels = subprocess.run([str(brought / "cpu")], check=False).returncode
    assert highest == prebuilt.LEVELS["x86_64"][: min(levels, 2)][-1]


def test_a_level_leaves_kernels_to_the_one_below(brought, tmp_path, monkeypatch):
    monkeypatch.setattr(prebuild, "_LEFT_TO_LOWER", {"x86-64-v2": ("*",), "x86-64-v3": ("sca*.cu",)})
    place = tmp_path / "parted"
    prebuild.build(place, "x86-64-v2 x86-64-v3", every_kernel())
    for level, count in (("x86-64-v2", 2), ("x86-64-v3", 0)):
        assert len(json.loads((place / level / prebuilt.MANIFEST).read_text())["symbols"]) == count
    monkeypatch.setattr(prebuilt, "folder", lambda: place)
    forget()
    if prebuilt.prebuilt_level() != "x86-64-v3":
        pytest.skip("this processor is of the lowest level")
    with sci.options(kernels="compiled", threads=2):
        np.testing.assert_array_equal(scaled(1000), 3.0 * np.arange(1000))
    assert libraries() == set()


def test_a_package_of_its_own_brings_them(brought, folder, tmp_path, monkeypatch):
    """A release comes so: this package has no folder of kernels, and `sci_hpc_kernels` is one."""
    package = brought.rename(tmp_path / prebuilt.PACKAGE)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(prebuilt, "folder", FOLDER)
    FOLDER.cache_clear()
    forget()
    try:
        assert prebuilt.folder() == package
        assert prebuilt.prebuilt_distribution() == "sci-hpc-kernels"
        with sci.options(kernels="compiled"):
            np.testing.assert_array_equal(scaled(), 3.0 * np.arange(40))
        assert libraries() == set()
        assert compile.prebuilt_stale() == []
        (folder / "scale.cu").write_text(SOURCE + "// edited")
        forget()
        assert compile.prebuilt_stale() == ["scale.cu"]
    finally:
        FOLDER.cache_clear()


def test_denormals_survive_loading(brought):
    scaled()
    assert np.float64(5e-324) * np.float64(1.0) != 0


def test_native_kernels_and_edited_sources_need_the_compiler(brought, folder, monkeypatch):
    monkeypatch.setattr(compile, "find_compiler", COMPILER)
    assert scaled()[1] == 3.0
    assert libraries() == set()
    for number, settings in enumerate(({"kernels": "native"}, {"cxxflags": "-O1"}), 1):
        with sci.options(**settings):
            assert scaled()[1] == 3.0
        assert len(libraries()) == number
    (folder / "scale.cu").write_text(SOURCE.replace("T(factor) * x[i]", "-T(factor) * x[i]"))
    forget()
    assert scaled()[1] == -3.0
    assert len(libraries()) == 3


def test_a_library_of_another_size_is_not_used(brought):
    level = prebuilt.prebuilt_level()
    path = brought / level / prebuilt.LIBRARY
    data = path.read_bytes()
    assert not prebuilt.prebuilt_damage()
    path.unlink()
    path.write_bytes(data[:-100])
    prebuilt._loaded.cache_clear()
    assert prebuilt.prebuilt_damage() == f"damaged: {path}"
    with pytest.warns(RuntimeWarning, match=r"are not used: it has \d+ bytes of \d+; install"):
        lower = prebuilt.prebuilt_level()
    assert lower != level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert prebuilt.prebuilt_level() == lower


def test_the_manifest_names_every_kernel_of_hosts(brought):
    manifest = json.loads((brought / "x86-64-v2" / prebuilt.MANIFEST).read_text())
    assert set(manifest["symbols"]) == {"scale.cu:scale<float>", "scale.cu:scale<double>"}
    with sci.options(kernel_path=None):
        shipped = prebuild.shipped_kernels()
        assert len(shipped) > 230
        left_out = {k.template for k in every_kernel()} - {k.template for k in shipped}
        files = ("particles/places.cu", "particles/device_mesh.cu", "nn/steps.cu", "attention/attention_units.cu")
        of_devices = {k.template for file in files for k in every_kernel(file)} | {"brick_lanes"}
    assert left_out == {f"attention_tiles_{name}" for name in ("forward", "keys", "queries")} | of_devices


def test_nothing_is_loaded_where_nothing_came(tmp_path, monkeypatch):
    monkeypatch.setattr(prebuilt, "folder", lambda: Path(os.devnull) / "none")
    assert prebuilt.prebuilt_level() is None
    assert prebuilt.thread_pool(None) is None
    machine = tmp_path / "armv8-a"
    machine.mkdir()
    (machine / prebuilt.LIBRARY).write_bytes(b"of another machine")
    assert prebuilt._levels(tmp_path) == ()
