"""The name of the distribution in messages, and another project's `sci` in the same environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sci.cli.commands import doctor
from sci.distribution import KERNELS_NAME, NAME, install_command, kernels_command, other_distributions
from sci.kernels import compile as compiling

ROOT = Path(__file__).parents[1]


def test_the_name_is_that_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == NAME
    assert install_command("plot") == f'pip install "{NAME}[plot]"'
    assert "plot" in project["optional-dependencies"]


def test_the_package_of_kernels_is_of_the_same_version_and_sources() -> None:
    folder = ROOT / "packaging" / "kernels"
    kernels = tomllib.loads((folder / "pyproject.toml").read_text())
    main = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert kernels["project"]["name"] == KERNELS_NAME
    for name in ("requires-python", "license"):
        assert kernels["project"][name] == main["project"][name]
    assert kernels["build-system"] == main["build-system"]
    hatch, wheel = kernels["tool"]["hatch"], kernels["tool"]["hatch"]["build"]["targets"]["wheel"]
    (package,) = wheel["only-include"]
    assert package == wheel["hooks"]["custom"]["place"] == KERNELS_NAME.replace("-", "_")
    assert (folder / package / "__init__.py").is_file()
    assert (folder / hatch["version"]["path"]).resolve() == ROOT / main["tool"]["hatch"]["version"]["path"]
    assert (folder / wheel["hooks"]["custom"]["path"]).resolve() == ROOT / "hatch_build.py"
    assert [(folder / path).resolve() for path in wheel["force-include"]] == [ROOT / "LICENSE"]


def test_who_has_neither_kernels_nor_compiler_is_told_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compiling, doctor):
        monkeypatch.setattr(module, "find_compiler", lambda name: None)
    monkeypatch.setattr(doctor, "prebuilt_level", lambda: None)
    assert kernels_command() in doctor._compiler().fix
    assert "g++" in doctor._compiler().fix
    with pytest.warns(RuntimeWarning, match=r"kernels run as .* references; .*, or install g\+\+") as warned:
        assert not compiling.compiled_kernels_available.__wrapped__()
    assert kernels_command() in str(warned[0].message)


def test_no_message_advises_the_other_project() -> None:
    """`pip install sci` or `sci[extra]` installs the project that holds that name on the index."""
    wrong = [
        path.relative_to(ROOT).as_posix()
        for folder in ("sci", "docs", "examples", "mpi_examples", "benchmarks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".def", ".sh")
        and any(a in path.read_text() for a in ('"sci[', "install sci["))
    ]
    assert wrong == []


def _plant(site: Path) -> None:
    """Lay out in `site` what pip leaves of the project that is called sci."""
    (site / "sci").mkdir(parents=True)
    (site / "sci" / "__init__.py").write_text("")
    info = site / "sci-0.1.7.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sci\nVersion: 0.1.7\n")
    (info / "RECORD").write_text("sci/__init__.py,,\nsci-0.1.7.dist-info/METADATA,,\n")


def test_another_sci_is_seen(tmp_path: Path, monkeypatch) -> None:
    assert other_distributions() == []
    _plant(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert other_distributions() == ["sci 0.1.7"]


def test_the_doctor_names_another_sci_and_the_fix(tmp_path: Path) -> None:
    _plant(tmp_path / "site")
    paths = os.pathsep.join([str(ROOT), str(tmp_path / "site")])
    command = [sys.executable, "-m", "sci", "doctor", "--json"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    finding = next(f for f in json.loads(done.stdout)["findings"] if f["name"] == "package name")
    assert not finding["ok"]
    assert "sci 0.1.7" in finding["found"]
    assert "pip uninstall sci" in finding["fix"]
