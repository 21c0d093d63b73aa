"""Fixtures of the tests of kernels."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from scale_kernel import forget, write_sources

import sci


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of sources, an empty cache and a folder of temporary files, in use for the test."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    sources = tmp_path / "sources"
    write_sources(sources)
    forget()
    with sci.options(kernel_path=str(sources), cache_dir=str(tmp_path / "cache"), threads=1):
        yield sources
    forget()
