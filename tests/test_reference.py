"""The reference is complete: functions tell what they take, return and raise; each class has an example."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import sci
from sci.errors import MissingDependencyError

PACKAGE = Path(sci.__file__).parent
ROOMS = sorted(
    {path.stem for path in PACKAGE.glob("[a-z]*.py")}
    | {path.parent.name for path in PACKAGE.glob("[a-z]*/__init__.py")} - {"cli"}
)


def _public(room: str) -> list[tuple[str, Any]]:
    try:
        module = importlib.import_module(f"sci.{room}")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    own = [n for n, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", [n for n in own if not n.startswith("_")])
    return [(name, getattr(module, name)) for name in names]


def _is_op(value: Any) -> bool:
    return hasattr(value, "forward") and hasattr(value, "vjp") and not inspect.isclass(value)


def _definition(value: Any) -> ast.FunctionDef:
    """The code of a function, also of one that is decorated or an op."""
    function = inspect.unwrap(value.forward) if _is_op(value) else inspect.unwrap(value)
    module = importlib.import_module(function.__module__)
    tree = ast.parse(Path(module.__file__ or "").read_text())
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == value.__name__]
    assert found, f"{value.__name__} is not found in {module.__name__}"
    return found[-1]


def _has(doc: str, *sections: str) -> bool:
    return any(re.search(rf"^{section}\n-{{3,}}$", doc, re.MULTILINE) for section in sections)


@pytest.mark.parametrize("room", ROOMS)
def test_a_function_tells_its_parameters_and_what_it_returns_and_raises(room: str) -> None:
    lacking = []
    for name, value in _public(room):
        if not (inspect.isfunction(value) or _is_op(value)):
            continue
        code, doc = _definition(value), inspect.cleandoc(value.__doc__ or "")
        arguments = code.args
        takes = arguments.args or arguments.kwonlyargs or arguments.vararg or arguments.kwarg
        if takes and not _has(doc, "Parameters"):
            lacking.append(f"{name}: Parameters")
        if code.returns is not None and ast.unparse(code.returns) != "None" and not _has(doc, "Returns", "Yields"):
            lacking.append(f"{name}: Returns")
        raised = {ast.unparse(n.exc.func) for n in ast.walk(code) if isinstance(n, ast.Raise) and _is_call(n.exc)}
        if any(error.endswith("Error") for error in raised) and not _has(doc, "Raises"):
            lacking.append(f"{name}: Raises {sorted(raised)}")
    assert lacking == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_return_of_a_wide_class_is_described(room: str) -> None:
    """`array` alone leaves shape, unit and meaning to a guess."""
    bare = []
    for name, value in _public(room):
        section = re.search(r"^Returns\n-+\n(.*?)(?=\n\n|\Z)", inspect.getdoc(value) or "", re.DOTALL | re.MULTILINE)
        if section and re.fullmatch(r"(arrays?|NumPy array|object|dict|list|tuple)", section[1].strip()):
            bare.append(f"{name}: {section[1].strip()}")
    assert bare == []


def _is_call(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call)


@pytest.mark.parametrize("room", ROOMS)
def test_a_class_has_an_example_and_its_parameters(room: str) -> None:
    lacking = []
    for name, value in _public(room):
        if not inspect.isclass(value) or issubclass(value, BaseException):
            continue
        doc = inspect.cleandoc(value.__doc__ or "")
        if ">>> " not in doc:
            lacking.append(f"{name}: Examples")
        takes = [p for p in _constructor(value) if p != "self"]
        if takes and not getattr(value, "_is_protocol", False) and not _has(doc, "Parameters"):
            lacking.append(f"{name}: Parameters")
    assert lacking == []


def _constructor(value: Any) -> list[str]:
    try:
        return list(inspect.signature(value).parameters)
    except ValueError:
        return []
