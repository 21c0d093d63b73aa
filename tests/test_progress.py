"""Progress lines say how far a loop is, what is left, and how it stands; quiet where they should be."""

from __future__ import annotations

import functools

import pytest

import sci
from sci import progress as module
from sci.progress import progress


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show every step at once."""
    tqdm = module.tqdm

    def impatient(*args: object, **kwargs: object) -> object:
        return tqdm(*args, **{**kwargs, "delay": 0.0, "mininterval": 0.0, "leave": True})

    monkeypatch.setattr(module, "tqdm", functools.wraps(tqdm)(impatient))


def test_the_line_has_title_count_and_note(eager, capsys):
    losses: list[float] = []
    with sci.options(progress="on"):
        for step in progress(range(3), "training", note=lambda: f"loss {losses[-1]:.1e}"):
            losses.extend([0.5**step])
    line = capsys.readouterr().err
    assert "training" in line
    assert "3/3" in line
    assert "loss 2.5e-01" in line
    assert "<00:0" in line, "the time to finish"


@pytest.mark.parametrize("settings", [{"progress": "off"}, {"progress": "on", "show": False}, {"progress": "auto"}])
def test_it_is_quiet(eager, capsys, settings):
    show = settings.pop("show", True)
    with sci.options(**settings):
        assert list(progress(range(4), "x", show=show, note=lambda: "never")) == [0, 1, 2, 3]
    assert capsys.readouterr().err == ""
