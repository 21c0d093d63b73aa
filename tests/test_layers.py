"""The layers of the package, who may import what, and the limits on its files and functions."""

from __future__ import annotations

import ast
import contextlib
import importlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import sci
from sci.errors import MissingDependencyError

PACKAGE = Path(sci.__file__).parent
ROOMS = (
    *(
        "errors",
        "distribution",
        "options",
        "units",
        "tasks",
        "backend",
        "progress",
        "kernels",
        "distributed",
        "versions",
        "arguments",
        "linalg",
        "chebyshev",
        "tensor",
        "spherical",
    ),
    *(
        "potentials",
        "ensembles",
        "nn",
        "graphs",
        "completion",
        "fields",
        "problems",
        "scaling",
        "operators",
        "solvers",
        "sequence",
        "atomistic",
        "compression",
        "generative",
        "applications",
    ),
    *("io", "plotting", "interop", "datasets", "cli"),
)
STRANGERS = {"operators", "solvers", "sequence"}
DOORS = {
    **{"cupy": "backend", "cupyx": "backend", "mpi4py": "distributed", "h5py": "io"},
    **{"matplotlib": "plotting", "plotly": "plotting", "torch": "interop", "xarray": "interop"},
}
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = [path for path in SOURCES if path != PACKAGE / "__init__.py"]
Trees = dict[Path, ast.Module]


def _identifier(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _room(path: Path) -> str:
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "cli" if name == "__main__" else name


def _dotted_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a tree imports, by statement, `importlib.import_module` or `__import__`, as a dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layers"
            # `from sci import chebyshev` names a room, `from sci.backend import Array` a thing inside one.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
            name = node.args[0]
            assert isinstance(name, ast.Constant), "an import by a computed name hides the layers"
            yield str(name.value)


def _is_import_call(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    documented = ast.get_docstring(node) is not None
    doc_lines = (node.body[0].end_lineno or 0) - node.body[0].lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - doc_lines


def _violations(room: str, imported: Iterator[str]) -> list[str]:
    """What is wrong with the modules that code of `room` imports."""
    wrong = []
    for name in imported:
        top, _, rest = name.partition(".")
        if top in DOORS and room != DOORS[top]:
            wrong.append(f"{top} belongs in sci.{DOORS[top]}")
        target = rest.partition(".")[0]
        if top == "sci" and target in ROOMS and target != room:
            if ROOMS.index(target) > ROOMS.index(room):
                wrong.append(f"sci.{target} stands below sci.{room}")
            if {target, room} <= STRANGERS:
                wrong.append(f"sci.{room} and sci.{target} do not import each other")
    return wrong


@pytest.mark.parametrize(
    ("room", "code", "count"),
    [
        ("tensor", "from sci.potentials import direct_sum", 1),
        ("tensor", "from sci import potentials", 1),
        ("tensor", "def f():\n    import sci.io.store", 1),
        ("solvers", "import sci.operators", 1),
        ("kernels", "import importlib\nimportlib.import_module('cupy')", 1),
        ("kernels", "xp = __import__('cupyx.scipy')", 1),
        ("cli", "from mpi4py import MPI\nimport h5py", 2),
        ("potentials", "import sci.tensor.boxes.expansion\nfrom sci import chebyshev\nimport numpy", 0),
        ("backend", "import cupy", 0),
    ],
)
def test_the_check_sees_a_violation(room: str, code: str, count: int) -> None:
    assert len(_violations(room, _imports(ast.parse(code)))) == count


def test_a_module_imports_only_from_rooms_above_it(trees: Trees) -> None:
    assert [_identifier(path) for path in MODULES if _room(path) not in ROOMS] == [], "in no room of the design"
    assert {_identifier(path): w for path in MODULES if (w := _violations(_room(path), _imports(trees[path])))} == {}


def test_the_front_door_imports_only_options(trees: Trees) -> None:
    """Its one function imports what it needs when it is called."""
    tree = trees[PACKAGE / "__init__.py"]
    when_called = {name for function in _functions(tree) for name in _imports(function)}
    assert when_called == {"sci.versions"}
    assert set(_imports(tree)) - when_called == {"sci.options.options"}


def test_importing_the_package_is_light() -> None:
    probe = (
        "import sys, scipy.special\n"  # of which an early version starts a process for NumPy
        "def hook(event, arguments):\n"
        "    assert event not in ('subprocess.Popen', 'os.fork', 'os.exec', 'os.system', 'os.posix_spawn'), event\n"
        "sys.addaudithook(hook)\n"
        "import sci, sci.potentials, sci.tensor, sci.distributed, sci.nn\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert loaded.isdisjoint({"cupy", "cupyx", "mpi4py", "h5py", "matplotlib", "plotly", "gemmi", "ase"})
    assert loaded.isdisjoint({"MDAnalysis", "torch", "xarray"})


def test_importing_every_room_leaves_out_what_few_need_of_scipy() -> None:
    """Code that writes `scipy.optimize.root(...)` imports it when it calls it; each start of a command waits less."""
    rooms = ", ".join(f"sci.{room}" for room in ROOMS)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {rooms}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "scipy.sparse.linalg" in loaded
    assert loaded.isdisjoint(f"scipy.{name}" for name in ("optimize", "interpolate", "integrate", "stats", "ndimage"))


def test_files_stay_under_500_lines_and_the_median_is_short() -> None:
    lines = {_identifier(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lines.items() if length > 500} == {}
    assert statistics.median(lines.values()) < 200


def test_functions_stay_under_80_lines_and_the_median_is_short(trees: Trees) -> None:
    lengths = [(_identifier(path), f.name, _length(f)) for path in SOURCES for f in _functions(trees[path])]
    assert [found for found in lengths if found[-1] > 80] == []
    assert statistics.median(length for _, _, length in lengths) < 15


def _undocumented(tree: ast.Module) -> list[str]:
    """The public definitions of a module without a docstring, and the module itself."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [node for node in tree.body if isinstance(node, definitions) and not node.name.startswith("_")]
    for node in list(public):
        if isinstance(node, ast.ClassDef):
            public += [m for m in node.body if isinstance(m, definitions) and not m.name.startswith("_")]
    missing = [node.name for node in public if not ast.get_docstring(node)]
    return missing if ast.get_docstring(tree) else ["the module", *missing]


def test_whatever_is_public_has_a_docstring(trees: Trees) -> None:
    assert {_identifier(path): names for path in SOURCES if (names := _undocumented(trees[path]))} == {}


def _wrong_names(names: list[str], module: ModuleType) -> list[str]:
    """The entries of `__all__` that are there twice, are private, or name nothing."""
    private = [name for name in names if name.startswith("_") and name != "__version__"]
    return [
        *private,
        *(name for name in set(names) if names.count(name) > 1),
        *(n for n in names if not hasattr(module, n)),
    ]


def test_all_names_exist_once() -> None:
    wrong = {}
    for path in SOURCES:
        if path.name == "__main__.py":
            continue  # importing it runs it
        with contextlib.suppress(MissingDependencyError):
            module = importlib.import_module(_dotted_name(path))
            wrong[_identifier(path)] = _wrong_names(list(getattr(module, "__all__", [])), module)
    assert {name: names for name, names in wrong.items() if names} == {}
    assert len(wrong) > len(SOURCES) - 20, "most modules can be imported without the packages of extras"


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_the_face_of_a_room_shows_what_it_imports(room: str, trees: Trees) -> None:
    face = PACKAGE / room / "__init__.py"
    if not face.is_file():
        return
    names = set(importlib.import_module(f"sci.{room}").__all__)
    assert names, "a package says what is public"
    imported = {
        alias.asname or alias.name
        for node in trees[face].body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sci.") and room != "backend"
        for alias in node.names
    }
    assert imported <= names, "what a package's front door imports, it offers"
