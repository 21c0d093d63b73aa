"""The wings of sci.io: their order, and no circle of files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sci.io

ROOT = Path(sci.io.__file__).parent
ORDER = (
    "core",
    "readers",
    "grids",
    "on_ranks",
    "codecs",
    "store",
    "exports",
    "sample_blocks",
    "sample_reader",
    "labelled",
    "points",
    "configurations",
    "crystals",
    "description",
)
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def _imported(path: Path) -> set[str]:
    """The modules of sci.io that a module imports, as dotted names below sci.io."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    found = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
    return {name.removeprefix("sci.io.") for name in found if name.startswith("sci.io.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_wing_imports_only_those_before_it(path: Path) -> None:
    own = ORDER.index(path.relative_to(ROOT).parts[0].removesuffix(".py"))
    assert {ORDER.index(name.split(".")[0]) for name in _imported(path)} <= set(range(own + 1))


def test_no_circle_of_files() -> None:
    arrows = {}
    for path in MODULES:
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        modules = {".".join(name.split(".")[:2]) for name in _imported(path)}
        arrows[dotted] = {m for m in modules if (ROOT / m.replace(".", "/")).with_suffix(".py").exists()}
    while arrows:
        free = [name for name, below in arrows.items() if not below & arrows.keys()]
        assert free, f"a circle among {sorted(arrows)}"
        for name in free:
            del arrows[name]
