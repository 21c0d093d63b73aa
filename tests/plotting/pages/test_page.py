"""Pages run no script but ours, stay below their limit, and can be read without eyes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np

from sci.plotting import Chart, Table
from sci.plotting.pages import page
from sci.plotting.pages.charts import isosurface, lines, require_plotly
from sci.plotting.pages.contents import Volume

EVIL = "</script><img src=x onerror=alert(1)>"
X = np.linspace(1.0, 2.0, 5)


class _Tags(HTMLParser):
    """Names and attributes of all tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _page() -> str:
    chart = lines(EVIL, (X, "x"), {EVIL: X, "b": X}, "y", log=True)
    chart.figure.update_layout(title={"text": EVIL})
    tables = [Table(EVIL, [(EVIL, EVIL)]), Table("t", [("a", "b")], ("c", "d"), folded=True)]
    return page.html_page(EVIL, EVIL, [*tables, chart], EVIL)


def test_texts_become_no_tags() -> None:
    tags = _Tags(_page()).found
    assert "img" not in {tag for tag, _ in tags}
    assert [a.get("type") for tag, a in tags if tag == "script"] == ["application/json", None, None]
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


def test_the_policy_allows_the_two_scripts_of_the_page_and_nothing_from_elsewhere() -> None:
    text = _page()
    policy = next(a["content"] for _, a in _Tags(text).found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert len(digests) == 2


def test_the_page_names_its_language_title_and_charts() -> None:
    text = _page()
    tags = _Tags(text).found
    assert ("html", {"lang": "en"}) in tags
    assert "<title>&lt;/script&gt;" in text
    chart = next(a for _, a in tags if a.get("id") == "chart-0")
    assert chart["role"] == "img"
    assert str(chart["aria-label"]).startswith("Chart: ")
    assert {a["scope"] for tag, a in tags if tag == "th"} == {"row", "col"}


def test_a_page_of_tables_alone_has_no_script() -> None:
    text = page.html_page("t", "", [Table("a", [("b", "c")])], "")
    assert "<script" not in text
    assert "script-src" not in text


def test_charts_beyond_the_limit_are_named(monkeypatch) -> None:
    monkeypatch.setattr(page, "DATA_BYTES", 2000)
    charts = [lines(f"chart number {k}", (X, "x"), {"a": X}, "y") for k in range(5)]
    text = page.html_page("t", "", charts, "")
    found = json.loads(re.findall(r'id="charts">(.*?)</script>', text, re.DOTALL)[0])
    assert 0 < len(found) < 5
    assert text.count("left out, because the page would be too large") == 5 - len(found)


def test_the_largest_page_is_below_six_megabytes() -> None:
    from plotly.offline import get_plotlyjs

    assert len(get_plotlyjs().encode()) + page.DATA_BYTES + len(page.STYLE + page.DRAW) < 5_950_000


def test_the_data_of_charts_are_valid_for_plotly_and_hold_no_nan() -> None:
    go = require_plotly()
    values = np.sin(np.arange(216.0)).reshape(6, 6, 6)
    volume = Volume(values, (np.arange(6.0),) * 3, (1, 1, 1))
    chart = isosurface("t", volume, "q", ("x", "y", "z"))
    assert isinstance(chart, Chart)
    text = page.html_page("t", "", [chart], "")
    (found,) = json.loads(re.findall(r'id="charts">(.*?)</script>', text, re.DOTALL)[0], parse_constant=_refuse)
    assert go.Figure(found["data"], found["layout"]).data[0].type == "isosurface"


def _refuse(name: str) -> float:
    raise AssertionError(f"the page holds {name}")
