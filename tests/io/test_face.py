"""The names of `sci.io`, which are imported when they are asked for."""

import ast
from pathlib import Path

import pytest

import sci.io


def test_what_a_type_checker_reads_is_what_is_imported():
    tree = ast.parse(Path(sci.io.__file__).read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    read = {alias.name: node.module for node in checked.body for alias in node.names}
    assert {name: imported().__name__ for name, imported in sci.io._IMPORT_OF.items()} == read
    assert set(read) < set(sci.io.__all__) <= set(dir(sci.io))


def test_a_name_that_is_not_there_is_an_error():
    with pytest.raises(AttributeError, match=r"module 'sci\.io' has no attribute 'lode'"):
        sci.io.lode  # noqa: B018
