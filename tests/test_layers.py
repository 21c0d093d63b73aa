"""The layers of the package, who may import what, and the limits on its files and functions."""

from __future__ import annotations

import ast
import importlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
TREES = {path: ast.parse(path.read_text(), str(path)) for path in [*MODULES, PACKAGE / "__init__.py"]}


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


@pytest.mark.parametrize("path", MODULES, ids=_identifier)
def test_a_module_imports_only_from_rooms_above_it(path: Path) -> None:
    assert _room(path) in ROOMS, f"{_identifier(path)} stands in no room of the design"
    assert _violations(_room(path), _imports(TREES[path])) == []


def test_the_front_door_imports_only_options() -> None:
    """Its one function imports what it needs when it is called."""
    tree = TREES[PACKAGE / "__init__.py"]
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


@pytest.mark.parametrize("path", TREES, ids=_identifier)
def test_a_file_stays_under_500_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500


def test_the_median_file_is_short() -> None:
    assert statistics.median(len(path.read_text().splitlines()) for path in TREES) < 200


@pytest.mark.parametrize("path", TREES, ids=_identifier)
def test_a_function_stays_under_80_lines(path: Path) -> None:
    assert [f.name for f in _functions(TREES[path]) if _length(f) > 80] == []


def test_the_median_function_is_short() -> None:
    assert statistics.median(_length(f) for tree in TREES.values() for f in _functions(tree)) < 15


@pytest.mark.parametrize("path", TREES, ids=_identifier)
def test_whatever_is_public_has_a_docstring(path: Path) -> None:
    tree = TREES[path]
    assert ast.get_docstring(tree), "the module"
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [node for node in tree.body if isinstance(node, definitions) and not node.name.startswith("_")]
    for node in list(public):
        if isinstance(node, ast.ClassDef):
            public += [m for m in node.body if isinstance(m, definitions) and not m.name.startswith("_")]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", TREES, ids=_identifier)
def test_all_names_exist_once(path: Path) -> None:
    if path.name == "__main__.py":
        pytest.skip("importing it runs it")
    try:
        module = importlib.import_module(_dotted_name(path))
    except MissingDependencyError as error:
        pytest.skip(str(error))
    names = list(getattr(module, "__all__", []))
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []
    assert [name for name in names if name.startswith("_") and name != "__version__"] == []
    if path.name == "__init__.py" and path.parent.parent == PACKAGE and _room(path) != "cli":
        assert names, "a package says what is public"
        imported = {
            alias.asname or alias.name
            for node in TREES[path].body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sci.") and _room(path) != "backend"
            for alias in node.names
        }
        assert imported <= set(names), "what a package's front door imports, it offers"
