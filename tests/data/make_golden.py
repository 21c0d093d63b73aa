"""Write the golden files of the present schema that are not there: `python tests/data/make_golden.py`.

A golden file is never written again: it is what a version of the library left on somebody's disk.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cases"))

from kinds import KINDS

from sci.io import SCHEMA_VERSION

for name, kind in KINDS.items():
    path = Path(__file__).parent / f"{name}_v{SCHEMA_VERSION}.h5"
    if kind.checked and not path.exists():
        kind.write(path)
