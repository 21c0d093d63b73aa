"""Building the kernels of a wheel: which ones, under which symbols, and the hook that brings them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from sci.kernels import prebuild


def test_the_hook_of_the_wheel_brings_what_is_built(tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location("hatch_build", root / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    hook = module.KernelHook(str(root), {}, None, None, str(tmp_path), "wheel")
    monkeypatch.setattr(prebuild, "build", lambda folder: (folder / "made").write_text("all"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for chosen, version in (("", "standard"), ("0", "standard"), ("1", "editable")):
        data = {"force_include": {}, "pure_python": True}
        monkeypatch.setenv("SCI_PREBUILT", chosen)
        hook.initialize(version, data)
        assert data == {"force_include": {}, "pure_python": True}
    hook.initialize("standard", data)
    ((source, target),) = data.pop("force_include").items()
    assert (Path(source) / "made").read_text() == "all"
    assert target == "sci/_kernels/prebuilt"
    assert data == {"pure_python": False, "tag": "py3-none-linux_x86_64"}
    hook.finalize("standard", data, "")
    assert not Path(source).exists()


def test_every_shipped_kernel_has_a_symbol_of_its_own() -> None:
    symbols = [prebuild._symbol(kernel) for kernel in prebuild.shipped_kernels()]
    assert len(symbols) > 230
    assert len(set(symbols)) == len(symbols)


def test_no_flag_binds_a_library_to_the_machine_that_built_it() -> None:
    assert "-march=native" not in prebuild._FLAGS
    assert any(flag.startswith("-DSCI_BLOCK=") for flag in prebuild._FLAGS)
