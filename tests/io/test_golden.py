"""Golden files of every kind in every version are read, and migrate to the present one."""

from __future__ import annotations

from pathlib import Path

import pytest
from kinds import KINDS
from samples import same

from sci.io import SCHEMA_VERSION, gather, load, load_grid, load_results, read_header, save, save_potential_file

GOLDEN = Path(__file__).parents[1] / "data"
OURS = [name for name, kind in KINDS.items() if kind.checked]
VERSIONS = range(1, SCHEMA_VERSION + 1)


@pytest.mark.parametrize("name", OURS)
def test_golden_files_of_every_version_are_read(tmp_path: Path, name: str) -> None:
    KINDS[name].write(tmp_path / "new.h5")
    assert read_header(tmp_path / "new.h5").schema_version == SCHEMA_VERSION
    for version in VERSIONS:
        old = GOLDEN / f"{name}_v{version}.h5"
        assert read_header(old).schema_version == version
        assert same(KINDS[name].read(old), KINDS[name].read(tmp_path / "new.h5"))


def migrate(name: str, old: Path, new: Path) -> None:
    """Follow the page on files."""
    parent = read_header(old).uuid
    if name == "spread":
        gather(old, new)
    elif name == "potential_file":
        grid, results = load_grid(old), load_results(old)
        save_potential_file(new, load(old), grid=grid, results=results, parent_uuid=parent)
    else:
        save(new, load(old), parent_uuid=parent)


@pytest.mark.parametrize("name", [n for n in OURS if n not in ("samples", "poisson", "solution", "smoke")])
def test_old_files_migrate(tmp_path: Path, name: str) -> None:
    for version in VERSIONS:
        old, new = GOLDEN / f"{name}_v{version}.h5", tmp_path / "new.h5"
        migrate(name, old, new)
        assert same(KINDS[name].read(new), KINDS[name].read(old))
        before, after = read_header(old), read_header(new)
        assert (after.schema_version, after.parent_uuid, after.kind) == (SCHEMA_VERSION, before.uuid, before.kind)
