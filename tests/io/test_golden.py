"""Golden files of every kind in every version are read, and migrate to the present one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kinds import KINDS
from samples import same, smoke_frames

from sci.io import (
    SCHEMA_VERSION,
    join_parts,
    kinds,
    load,
    load_grid,
    load_results,
    read_header,
    save,
    save_potential_file,
)

GOLDEN = Path(__file__).parents[1] / "data"
OURS = [name for name, kind in KINDS.items() if kind.checked]
OLD_NAMES = {"canonical": "cp"}
"""Golden files of schema 1 whose kind has another name now."""
SCHEMA_1 = [
    *("bare_particles", "canonical", "chebtuck", "checkpoint", "complex_tucker", "compressed_grid", "float32_grid"),
    *("grid", "lattice", "model", "particles", "periodic", "poisson", "potential", "potential_file", "samples"),
    *("smoke", "solution", "spread", "trajectory", "tucker"),
]
FILES = [(name, 1) for name in SCHEMA_1] + [(name, SCHEMA_VERSION) for name in OURS]


def _golden(name: str, version: int) -> Path:
    return GOLDEN / f"{name}_v{version}.h5"


@pytest.mark.parametrize(("name", "version"), FILES)
def test_golden_files_of_every_version_are_read(tmp_path: Path, name: str, version: int) -> None:
    kind, old = KINDS[OLD_NAMES.get(name, name)], _golden(name, version)
    kind.write(tmp_path / "new.h5")
    assert read_header(tmp_path / "new.h5").schema_version == SCHEMA_VERSION
    assert read_header(old).schema_version == version
    if (name, version) != ("smoke", 1):
        assert same(kind.read(old), kind.read(tmp_path / "new.h5"))


def test_smoke_of_schema_1_lacks_the_source_and_all_norms_but_the_last() -> None:
    run = load(_golden("smoke", 1))
    assert len(run) == 2
    for found, frame in zip(run, smoke_frames()):
        assert (found.time, found.source, found.result.iterations) == (frame.time, None, 2)
        assert found.result.residual_norms[-1] == frame.result.residual_norms[-1]
        for name in ("density", "pressure"):
            np.testing.assert_array_equal(getattr(found, name), getattr(frame, name).astype("f4"))
        for axis in (0, 1):
            np.testing.assert_array_equal(found.velocity[axis], frame.velocity[axis].astype("f4"))


def migrate(name: str, old: Path, new: Path) -> None:
    """Follow the page on files."""
    parent = read_header(old).uuid
    if name == "spread":
        join_parts(old, new)
    elif name == "potential_file":
        grid, results = load_grid(old), load_results(old)
        save_potential_file(new, load(old), grid=grid, results=results, parent_uuid=parent)
    else:
        save(new, load(old), parent_uuid=parent)


@pytest.mark.parametrize(("name", "version"), FILES)
def test_old_files_migrate(tmp_path: Path, name: str, version: int) -> None:
    kind, old, new = KINDS[OLD_NAMES.get(name, name)], _golden(name, version), tmp_path / "new.h5"
    migrate(name, old, new)
    assert same(kind.read(new), kind.read(old))
    before, after = read_header(old), read_header(new)
    assert (after.schema_version, after.parent_uuid) == (SCHEMA_VERSION, before.uuid)
    assert before.kind in (after.kind, *kinds()[after.kind].old_names)
