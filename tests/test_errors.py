"""Names in messages: the article that stands before them, and that no message writes one by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sci
from sci.errors import with_article

BY_HAND = re.compile(r"\b[Aa]n? \{(type\(|cls\b|kind\.__name__|(model|state)\.name|_full_name|[a-z.]*__name__)")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, "an") for name in ("AtomisticPotential", "int", "ndarray", "EquiNO", "FNO", "SFNO", "MLP")),
        *((name, "a") for name in ("dict", "NoneType", "UNet", "UNO", "TFNO", "uint8", "Fourier")),
    ],
)
def test_articles(name: str, expected: str) -> None:
    assert with_article(name) == f"{expected} {name}"


def test_no_message_writes_the_article_of_a_name_by_hand() -> None:
    root = Path(sci.__file__).parent
    found = [str(path) for path in root.rglob("*.py") if BY_HAND.search(path.read_text())]
    assert found == []
