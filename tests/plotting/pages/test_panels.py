"""Texts, numbers and sizes as the pages show them."""

from __future__ import annotations

import numpy as np
import pytest

from sci.plotting.pages.panels import number, plain, size


def test_plain_text_has_no_tags_and_no_control_characters() -> None:
    assert plain("</script><b>&") == "&lt;/script&gt;&lt;b&gt;&amp;"
    assert plain('a"\x1b[31m') == "a&quot;\\x1b[31m"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(0.1), "0.1"),
        (np.int64(1234), "1,234"),
        (False, "no"),
        (None, "none"),
        ((1, 2.5), "1, 2.5"),
        ("a", "a"),
    ],
)
def test_numbers(value: object, text: str) -> None:
    assert number(value) == text


def test_sizes() -> None:
    assert [size(n) for n in (12, 3_000, 4.5e6, 2e12)] == ["12 B", "3 kB", "4.5 MB", "2e+03 GB"]
