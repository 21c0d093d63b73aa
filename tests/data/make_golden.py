"""Write the golden files of the present schema: `python tests/data/make_golden.py`, once for each new version."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "io"))

from samples import make_objects

from sci.io import SCHEMA_VERSION, save

for name, sample in make_objects().items():
    save(Path(__file__).parent / f"{name}_v{SCHEMA_VERSION}.h5", sample, command="tests/data/make_golden.py")
