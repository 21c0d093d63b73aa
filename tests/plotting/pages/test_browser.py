"""Pages in a real browser: every chart is drawn, nothing is asked of a network, and the console stays empty."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kinds import KINDS

from sci.plotting import Contents
from sci.plotting.pages.page import html_page
from sci.plotting.pages.panels import Chart
from sci.plotting.pages.registry import panels_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SOLIDS = 6
"""Charts in space of one page here: browsers draw a limited number at once."""
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--use-angle=swiftshader"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
    *("--enable-unsafe-swiftshader", "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=20000"),
)
HINTS = ("GPU stall", "Multiple readback operations")
"""What the browser says of the speed of plotly's own drawing."""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here; Debian: apt-get install chromium")


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> list[Chart]:
    """The charts of one file of every kind."""
    folder = tmp_path_factory.mktemp("files")
    found: list[Chart] = []
    for name, kind in KINDS.items():
        if kind.checked and "streamed" not in name and "float32" not in name:
            kind.write(folder / f"{name}.h5")
            found += [p for p in panels_of(Contents(folder / f"{name}.h5")) if isinstance(p, Chart)]
    return found


def _pages(charts: list[Chart]) -> Iterator[list[Chart]]:
    """The charts in pages that do not hold too many in space."""
    page: list[Chart] = []
    for chart in charts:
        page.append(chart)
        if sum(_solid(c) for c in page) == SOLIDS:
            yield page
            page = []
    yield page


def _solid(chart: Chart) -> bool:
    return any(trace.type in ("isosurface", "scatter3d") for trace in chart.figure.data)


def _opened(path: Path, tmp_path: Path, width: int) -> tuple[str, list[str], set[str]]:
    """Open a page; return its document after the scripts ran, the lines on the console, and what it asked for."""
    assert BROWSER is not None
    log = tmp_path / f"net-{width}.json"
    profile = tmp_path / f"profile-{width}"
    profile.mkdir()
    words = [BROWSER, *FLAGS, f"--user-data-dir={profile}", f"--log-net-log={log}", f"--window-size={width},900"]
    done = subprocess.run(
        [*words, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    said = [line for line in said if not any(hint in line for hint in HINTS)]
    # Other requests are the browser's own; their initiator is "not an origin".
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = {p["url"] for p in events if "url" in p and p.get("initiator", "not an origin") != "not an origin"}
    return done.stdout, said, asked


def _shown(path: Path, tmp_path: Path, width: int) -> str:
    """Return the document of a page that leaves the console empty and asks for nothing."""
    dom, said, asked = _opened(path, tmp_path, width)
    assert said == []
    assert {url for url in asked if not url.startswith(("file:", "data:", "blob:"))} == set()
    return dom


def test_the_check_sees_what_a_page_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<img src='https://example.invalid/x.png'><script>throw new Error('wrong')</script>")
    _, said, asked = _opened(path, tmp_path, 500)
    assert "https://example.invalid/x.png" in asked
    assert any("wrong" in line for line in said)


@pytest.mark.nightly
def test_the_charts_of_every_kind_are_drawn_without_a_network(charts, tmp_path: Path) -> None:
    for k, page in enumerate(_pages(charts)):
        path = tmp_path / f"page-{k}.html"
        path.write_text(html_page("All kinds", "", page, ""), encoding="utf-8")
        (tmp_path / str(k)).mkdir()
        dom = _shown(path, tmp_path / str(k), 1280)
        assert f'data-drawn="{len(page)}"' in dom, "a script stopped"
        parts = re.split(r'id="chart-(\d+)"', dom.partition("<footer>")[0])
        drawn = dict(zip(parts[1::2], parts[2::2]))
        for number, chart in enumerate(page):
            text = drawn[str(number)]
            assert "main-svg" in text, chart
            if _solid(chart):
                assert "<canvas" in text, chart
                assert "WebGL is not supported" not in text, chart
                assert 'src="data:image/png;base64,' in text, "a picture for printers"
            else:
                expected = sum(trace.visible is not False for trace in chart.figure.data)
                # Heatmaps are images, lines and bars are groups of paths.
                found = len(re.findall(r'class="(?:hm|trace scatter|trace bars)', text))
                assert found >= expected, chart


def test_a_page_fits_a_phone(charts, tmp_path: Path) -> None:
    flat = [chart for chart in charts if not _solid(chart)][::4]
    path = tmp_path / "page.html"
    path.write_text(html_page("A phone", "", flat, ""), encoding="utf-8")
    dom = _shown(path, tmp_path, 500)  # the narrowest window of a headless browser
    widths = [float(w) for w in re.findall(r'<svg class="main-svg"[^>]*? width="([\d.]+)"', dom)]
    assert len(widths) >= len(flat)
    assert max(widths) <= 500


def test_a_script_in_a_file_does_not_run(tmp_path: Path) -> None:
    """Even where it would get into the page as a tag, the policy of the page refuses it."""
    path = tmp_path / "page.html"
    text = html_page("t", "", [], "")
    path.write_text(text.replace("<main>", "<main><script>document.title = 'ran'</script>"), encoding="utf-8")
    dom, said, _ = _opened(path, tmp_path, 500)
    assert "<title>t</title>" in dom
    assert "Content Security Policy" in said[0]
