"""The shape of the house: no circles, narrow folders, mirrored tests, public faces, and readable docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sci

PACKAGE = Path(sci.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
Trees = dict[Path, ast.Module]
FACES = [
    path.parent.name for path in sorted(PACKAGE.glob("*/__init__.py")) if path.parent.name not in ("cli", "_kernels")
]
SHOWN = [path for folder in ("docs", "examples", "mpi_examples") for path in (ROOT / folder).rglob("*")]
HEADLESS = re.compile(r"(Return|Do|Say|Tell|Give|Work out) (what|where|how|which|whether|who)\b", re.IGNORECASE)


def _identifier(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_dotted(path): path for path in SOURCES}


def _imported(tree: ast.AST) -> Iterator[str]:
    """The modules of the package that a tree imports at load time or inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


def _reached(start: str, arrows: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = set(arrows[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo |= arrows.get(name, set())
    return seen


def test_no_files_import_each_other_in_a_circle(trees: Trees) -> None:
    """The faces of rooms hand names on and are left out: an import through one is drawn to the room's files."""
    faces = {name for name in MODULES if MODULES[name].name == "__init__.py"}
    arrows = {
        name: {m for m in _imported(trees[path]) if m in MODULES and m not in faces} for name, path in MODULES.items()
    }
    assert [name for name in arrows if name not in faces and name in _reached(name, arrows)] == []


def test_no_import_hides() -> None:
    words = ("resolve_name(", "__import__(")
    assert [_identifier(path) for path in SOURCES if any(word in path.read_text() for word in words)] == []


def test_a_folder_is_narrow() -> None:
    files = Counter(_identifier(path.parent) for path in SOURCES if not path.name.startswith("__"))
    assert {folder: count for folder, count in files.items() if count > 12} == {}


def test_no_output_of_a_command_lies_beside_the_sources() -> None:
    """What somebody computed in a checkout is not committed with it: it would go into the source distribution."""
    listed = subprocess.run(
        ["git", "ls-files", "--", ":(glob)*"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listed.stdout.split() if listed.returncode == 0 else []  # no repository
    assert {Path(name).suffix for name in names} <= {"", ".cff", ".md", ".py", ".toml", ".yml"}


def _has_logic(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree))


def test_a_module_has_a_test_file_of_its_name(trees: Trees) -> None:
    inside = [p.relative_to(PACKAGE) for p in SOURCES if not p.name.startswith("__") and _has_logic(trees[p])]
    expected = [ROOT / "tests" / path.parent / f"test_{path.stem}.py" for path in inside]
    assert [_identifier(path) for path in expected if not path.is_file()] == [], "missing"


def _sources_of(path: Path) -> list[str]:
    if path.suffix == ".py":
        return [path.read_text()] if path.name != "hooks.py" else []
    if path.suffix == ".md":
        return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.M | re.S)
    return []


@pytest.mark.parametrize("path", [p for p in SHOWN if p.suffix in (".py", ".md") and _sources_of(p)], ids=_identifier)
def test_what_readers_see_comes_from_the_faces(path: Path) -> None:
    """Docs and examples import a room or an adapter, never a module inside a room; benchmarks may time one."""
    names = re.findall(
        r"^\s*(?:from|import) (?!sci\.interop\.\w+\s)(sci\.\w+\.[\w.]+)", "\n".join(_sources_of(path)), re.M
    )
    assert sorted(set(names)) == []


def test_docstrings_name_the_thing(trees: Trees) -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    first = [
        f"{_identifier(path)}, {node.name}: {line}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, kinds) and HEADLESS.match(line := (ast.get_docstring(node) or "").partition("\n")[0])
    ]
    assert first == []


@pytest.mark.parametrize("room", FACES)
def test_a_public_class_has_a_repr_of_its_own(room: str) -> None:
    """A dataclass of arrays prints its arrays, so classes that hold arrays write theirs."""
    module = importlib.import_module(f"sci.{room}")
    public = [getattr(module, name) for name in module.__all__]
    classes = [c for c in public if inspect.isclass(c) and c is not Any and not issubclass(c, BaseException)]
    missing = [c.__name__ for c in classes if c.__repr__ is object.__repr__ and not getattr(c, "_is_protocol", False)]
    assert missing == []


@pytest.mark.parametrize("room", FACES)
def test_a_face_shows_no_derivative_beside_its_primitive(room: str) -> None:
    names = importlib.import_module(f"sci.{room}").__all__
    assert [name for name in names if name.endswith(("_vjp", "_forward"))] == []
    assert [name for name in names if name.startswith(("Shared", "shared_"))] == []
