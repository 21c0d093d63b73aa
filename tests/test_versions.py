"""Versions and capabilities of the machine."""

from __future__ import annotations

import json
import platform
import tomllib
from pathlib import Path

import numpy as np
import pytest

import sci
from sci import versions

OLD = "flags : fpu sse2"
V3 = (
    "flags : cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave avx512f\n"
    "flags : avx512bw avx512cd avx512dq avx512vl\n"
)


def test_the_json_names_the_versions_that_run(capsys: pytest.CaptureFixture[str]) -> None:
    sci.show_versions(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["sci"]["version"] == sci.__version__
    assert found["packages"]["numpy"] == np.__version__
    assert platform.python_version() in found["system"]["Python"]
    assert found["system"]["cores"] >= 1
    assert "version" in found["libraries"]["HDF5"]


def test_the_table_has_every_section_and_package(capsys: pytest.CaptureFixture[str]) -> None:
    sci.show_versions()
    text = capsys.readouterr().out
    for word in ("sci\n", "system\n", "kernels\n", "libraries\n", "packages\n", *versions.EXTRAS):
        assert word in text


@pytest.mark.parametrize(("info", "level"), [(OLD, None), (V3, "x86-64-v3"), ("processor : 0\n", None)])
def test_the_level_is_that_of_the_first_processor(info: str, level: str | None) -> None:
    assert versions.cpu_level(info) == level


def test_a_probe_that_fails_gives_its_last_line() -> None:
    assert versions.probe("raise SystemExit('no such library')") == (None, "no such library")
    assert versions.probe("import os; os._exit(3)") == (None, "exit code 3")


def test_a_missing_package_has_no_version() -> None:
    assert versions.package_version("no-such-distribution-of-sci") is None


def test_every_extra_is_declared() -> None:
    """`sci doctor` advises `pip install "sci-hpc[EXTRA]"`."""
    project = tomllib.loads((Path(sci.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert set(versions.EXTRAS.values()) <= set(project["optional-dependencies"])
