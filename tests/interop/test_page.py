"""The page on other libraries runs, also the blocks whose packages few have."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import DOCS, blocks

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    python = [block for block in blocks(DOCS / "howto" / "interop.md") if block.language == "python"]
    assert len(python) == 4
    for block in python:
        exec(compile("\n" * block.line + block.text, "interop.md", "exec", dont_inherit=True), names)
