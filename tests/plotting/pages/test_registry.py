"""Every kind of file of the library is drawn by one function."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sci.errors import InvalidValueError
from sci.io import kinds, save
from sci.plotting import Contents, figures_of, kinds_without_figures
from sci.plotting.pages.registry import panels_of
from sci.potentials import Particles


def test_no_kind_of_the_library_lacks_figures() -> None:
    ours = {name for name, kind in kinds().items() if kind.cls.__module__.startswith("sci.")}
    # Examples of docstrings, run before in this process, register classes that are no names of their module.
    ours = {name for name in ours if hasattr(sys.modules[(cls := kinds()[name].cls).__module__], cls.__name__)}
    assert ours & set(kinds_without_figures()) == set()
    assert len(ours) >= 25


def test_a_kind_has_one_function() -> None:
    with pytest.raises(InvalidValueError, match=r"'grid' is drawn by sci\.plotting\.pages\.kinds\.potentials"):
        figures_of("grid")


def test_a_kind_without_a_function_has_no_charts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    monkeypatch.setattr("sci.plotting.pages.registry._DRAWN", {})
    assert list(panels_of(Contents(tmp_path / "a.h5"))) == []
    assert "particles" in kinds_without_figures()
