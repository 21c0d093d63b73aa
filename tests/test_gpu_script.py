"""`benchmarks/gpu.py` and the tables that the docs make from its file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script() -> ModuleType:
    return _module(ROOT / "benchmarks" / "gpu.py")


def test_without_a_gpu_it_exits_with_2_and_writes_nothing(tmp_path: Path) -> None:
    if importlib.util.find_spec("cupy") is not None:
        pytest.skip("CuPy is installed")
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "-o", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no GPU" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_stage_is_written_at_once(script, tmp_path, monkeypatch, capsys) -> None:
    """The second stage sees the first in the file, and an interrupt in it leaves the first there."""
    output = tmp_path / "gpu.json"

    def first(seconds: float) -> dict:
        assert not output.exists()
        return {"exit": 0, "passed": 3, "failures": []}

    def second(seconds: float) -> dict:
        assert json.loads(output.read_text())["stages"]["tests"]["passed"] == 3
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "device", lambda: {"name": "a GPU"})
    monkeypatch.setattr(script, "STAGES", {"tests": first, "potentials": second})
    monkeypatch.setattr(sys, "argv", ["gpu.py", "-o", str(output)])
    with pytest.raises(KeyboardInterrupt):
        script.main()
    assert list(json.loads(output.read_text())["stages"]) == ["tests"]


def test_a_stage_that_hangs_is_ended(script, capfd) -> None:
    code, output = script.run([sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"], 3.0)
    assert code is None
    assert output == "here\n"


@pytest.mark.parametrize("frame", ["", " === "])
def test_counts_of_pytest_are_read(script, monkeypatch, frame: str) -> None:
    text = f"FAILED tests/a.py::test_b - no\n{frame}1 failed, 12 passed, 2 skipped in 3.2s{frame}\n"
    monkeypatch.setattr(script, "run", lambda command, seconds: (1, text))
    found = script.run_tests(1.0)
    assert found == {"exit": 1, "failed": 1, "passed": 12, "skipped": 2, "failures": ["tests/a.py::test_b"]}


def test_every_job_of_the_docs_file_has_a_row_in_the_page() -> None:
    pytest.importorskip("mkdocs")
    hooks, report = _module(ROOT / "docs" / "hooks.py"), json.loads((ROOT / "docs" / "gpu.json").read_text())
    labels = [row["label"] for stage in report["stages"].values() for row in stage.get("rows", {}).values()]
    rows = hooks.gpu_times().splitlines()[2:]
    assert len(labels) > 10
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == labels
    assert report["machine"]["name"] in hooks.gpu_machine()
