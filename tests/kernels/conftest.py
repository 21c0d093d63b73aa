"""Fixtures of the tests of kernels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scale_kernel import forget, write_sources

import sci


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of sources and an empty cache, in use for the test."""
    sources = tmp_path / "sources"
    write_sources(sources)
    forget()
    with sci.options(kernel_path=str(sources), cache_dir=str(tmp_path / "cache")):
        yield sources
    forget()
