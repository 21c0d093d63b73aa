"""Fixtures that several test folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of larger real data that `SCI_TEST_DATA` names; the test is skipped without it."""
    folder = os.environ.get("SCI_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SCI_TEST_DATA does not name a folder")
    return Path(folder)
