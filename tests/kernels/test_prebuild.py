"""Building the kernels of a wheel: which ones, under which symbols, and the hook that brings them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sci.distribution import KERNELS_NAME
from sci.errors import InvalidValueError, KernelCompileError
from sci.kernels import prebuild, prebuilt
from sci.options import CPU_LEVELS


def test_the_hook_of_the_wheel_brings_what_is_built(tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location("hatch_build", root / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config, metadata = {"place": "there"}, SimpleNamespace(version="7.8.9")
    hook = module.KernelHook(str(root / "packaging"), config, None, metadata, str(tmp_path), "wheel")
    monkeypatch.setattr(prebuild, "_run", _stand_in)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("SCI_PREBUILT_SOURCES", "particles/direct_sum.cu")
    for chosen, version in (("", "standard"), ("0", "standard"), ("1", "editable")):
        data = {"force_include": {}, "pure_python": True}
        monkeypatch.setenv("SCI_PREBUILT", chosen)
        hook.initialize(version, data)
        assert (hook.dependencies() == []) == (chosen != "1")
        assert data == {"force_include": {}, "pure_python": True}
    for chosen, levels in (("x86_64", CPU_LEVELS), ("x86-64-v3", ("x86-64-v3",)), ("aarch64", ("armv8-a",))):
        data = {"force_include": {}, "pure_python": True}
        monkeypatch.setenv("SCI_PREBUILT", chosen)
        hook.initialize("standard", data)
        ((source, target),) = data.pop("force_include").items()
        assert {path.parent.name for path in Path(source).rglob(prebuilt.MANIFEST)} == set(levels)
        assert target == "there"
        assert data == {"pure_python": False, "tag": f"py3-none-linux_{prebuild.levels_of(chosen)[0]}"}
        hook.finalize("standard", data, "")
        assert not Path(source).exists()
    monkeypatch.setenv("SCI_PREBUILT", "apart")
    data = {"dependencies": ["others"]}
    hook.initialize("standard", data)
    assert (hook.dependencies(), data) == ([], {"dependencies": ["others", f"{KERNELS_NAME}==7.8.9"]})
    for chosen, sources, message in (
        ("sparc", "", "compiled for Linux on x86_64, "),
        ("aarch64", "none.cu", "no kernel"),
    ):
        monkeypatch.setenv("SCI_PREBUILT", chosen)
        monkeypatch.setenv("SCI_PREBUILT_SOURCES", sources)
        with pytest.raises(SystemExit, match=message):
            hook.initialize("standard", data)


def _stand_in(machine: str, *arguments: str) -> None:
    """Write what a compiler was to write."""
    Path(arguments[arguments.index("-o") + 1]).write_text(machine)


@pytest.mark.parametrize("words", ["", "x86-64-v1", "x86_64 aarch64", "x86-64-v2 armv8-a"])
def test_words_that_name_no_levels_are_refused(words: str) -> None:
    with pytest.raises(InvalidValueError, match="not for"):
        prebuild.levels_of(words)


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(KernelCompileError, match=r"no-such-compiler for aarch64; .*g\+\+-aarch64-linux-gnu, or set CC"):
        prebuild.build(tmp_path, "aarch64", prebuild.shipped_kernels("particles/direct_sum.cu"))


@pytest.mark.skipif(shutil.which("nm") is None or shutil.which("gcc") is None, reason="needs gcc and nm")
def test_old_systems_have_all_that_a_library_asks_for(tmp_path: Path) -> None:
    """Functions with new versions in new C libraries are bound to their first."""
    with_logarithm = prebuild.shipped_kernels("attention/attention.cu")[:1]
    machine = prebuild.build(tmp_path, "1", with_logarithm)
    newest = (2, 17) if machine == "aarch64" else (2, 3, 2)
    for path in tmp_path.rglob(prebuilt.LIBRARY):
        command = ["nm", "-D", "--undefined-only", path]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert {"logf@", "pthread_create@"} <= set(re.findall(r"\w+@", names))
        assert max(tuple(map(int, v.split("."))) for v in re.findall(r"@GLIBC_([\d.]+)", names)) <= newest, names


def test_every_shipped_kernel_has_a_symbol_of_its_own() -> None:
    symbols = [prebuild._symbol(kernel) for kernel in prebuild.shipped_kernels()]
    assert len(symbols) > 230
    assert len(set(symbols)) == len(symbols)


def test_no_flag_binds_a_library_to_the_machine_that_built_it() -> None:
    assert not any(
        flag.startswith(("-march=", "-mtune=", "-mcpu="))
        for flag in prebuild._FLAGS + prebuild._SMALLER + prebuild._SMALLEST
    )
    assert any(flag.startswith("-DSCI_BLOCK=") for flag in prebuild._FLAGS)


def test_sources_that_compile_smaller_or_are_left_to_a_lower_level_are_there() -> None:
    files = {kernel.file for kernel in prebuild.shipped_kernels()}
    for table in (prebuild._SMALLER_SOURCES, prebuild._SMALLEST_SOURCES, prebuild._LEFT_TO_LOWER):
        assert set(table) <= {level for levels in prebuilt.LEVELS.values() for level in levels}
        for pattern in {pattern for patterns in table.values() for pattern in patterns}:
            assert any(prebuild._is_chosen(file, (pattern,)) for file in files), pattern
    assert not set(prebuild._LEFT_TO_LOWER) & {levels[0] for levels in prebuilt.LEVELS.values()}
