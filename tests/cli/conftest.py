"""A small molecule, and the command as a function."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_cases import SMALL


@pytest.fixture
def pqr(tmp_path: Path) -> Path:
    """Return the file of a molecule of three atoms."""
    path = tmp_path / "small.pqr"
    path.write_text(SMALL)
    return path
