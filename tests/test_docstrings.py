"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import sci
from sci.errors import MissingDependencyError

PACKAGE = Path(sci.__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_examples_of_a_module_hold(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    try:
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    except MissingDependencyError as error:
        pytest.skip(str(error))
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    text = path.read_text()
    parser = doctest.DocTestParser()
    examples = doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__)
    found = [test for test in examples if test.examples]
    # An op is an object, which the finder of doctest passes over.
    for name, member in vars(module).items():
        doc = getattr(member, "__doc__", None) or ""
        if hasattr(member, "forward") and hasattr(member, "vjp") and ">>> " in doc and not isinstance(member, type):
            found.append(parser.get_doctest(doc, dict(vars(module)), name, str(path), 0))
    assert found or ">>> " not in text
    for test in found:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
