"""Print the section of CHANGELOG.md for a version, and refuse where package, citation and changelog do not agree on it.

python .github/release_notes.py 0.1.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(version: str, root: Path = ROOT) -> str:
    """Return what the changelog says of a version."""
    package = re.search(r'^__version__ = "([^"]+)"', (root / "sci" / "__init__.py").read_text(), re.M)
    citation = re.search(r"^version: (\S+)", (root / "CITATION.cff").read_text(), re.M)
    for place, found in (("sci/__init__.py", package), ("CITATION.cff", citation)):
        if found is None or found[1] != version:
            raise SystemExit(f"{place} says {found[1] if found else 'nothing'}; the release is {version}")
    section = re.search(
        rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", (root / "CHANGELOG.md").read_text(), re.M | re.S
    )
    if section is None or not section[1].strip():
        raise SystemExit(f'CHANGELOG.md has no section "## {version}"; rename "## Unreleased"')
    return section[1].strip() + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(notes(sys.argv[1]), end="")
