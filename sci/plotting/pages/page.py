"""The HTML of a page: one file that needs no network, with everything that came from a file escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sci.plotting.pages.panels import Chart, Panel, Table, plain

__all__ = ["DATA_BYTES", "html_page"]

DATA_BYTES = 1_050_000
"""Bytes of all charts of a page; with plotly's 4.8 MB of JavaScript, a page stays below 6 MB."""

STYLE = """
:root { color-scheme: light; --line: #d5d9de; --soft: #f4f6f8; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; color: #1b1f24; background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: .4rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.4rem 0 .4rem; }
p.lead { margin: 0 0 1rem; color: #4a535d; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
.scroll { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
table.list th, table.list td { overflow-wrap: anywhere; }
table.grid td.number { white-space: nowrap; }
td { min-width: 4rem; }
tbody th { font-weight: 600; width: 16rem; color: #36404a; }
thead th { background: var(--soft); white-space: nowrap; }
summary { cursor: pointer; font-weight: 600; margin: 1.4rem 0 .4rem; font-size: 1.1rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.6rem; }
.wide { grid-column: 1 / -1; }
figure { margin: 0; min-width: 0; }
.plot { width: 100%; }
img.print { display: none; }
figcaption { color: #4a535d; font-size: .85rem; margin-top: .2rem; }
footer { margin-top: 2rem; color: #4a535d; font-size: .85rem; border-top: 1px solid var(--line); padding-top: .5rem; }
@media (max-width: 640px) { body { font-size: 15px; padding: .6rem; } tbody th { width: 9rem; }
  th, td { padding: .25rem .35rem; } }
h2 { break-after: avoid; }
@media print { body { max-width: none; font-size: 11pt; } figure, table { break-inside: avoid; }
  .modebar { display: none; }
  .panels { display: block; }
  .solid .plot { display: none; }
  img.print { display: block; width: 100%; } }
"""

DRAW = """
"use strict";
(function () {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const narrow = window.matchMedia("(max-width: 640px)").matches;
  const drawn = [];
  let pictures = Promise.resolve();
  function picture(place) {  // a printer gets no WebGL
    pictures = pictures.then(function () {
      return Plotly.toImage(place, {format: "png", width: 720, height: place.clientHeight});
    }).then(function (url) { place.parentNode.querySelector("img.print").src = url; });
  }
  charts.forEach(function (chart, k) {
    chart.data.forEach(function (trace) {
      if (trace.type !== "isosurface" || !trace.meta) { return; }
      const axes = trace.meta.axes, n = axes[0].length * axes[1].length * axes[2].length;
      const at = [new Float32Array(n), new Float32Array(n), new Float32Array(n)];
      let p = 0;
      axes[0].forEach(function (x) { axes[1].forEach(function (y) { axes[2].forEach(function (z) {
        at[0][p] = x; at[1][p] = y; at[2][p] = z; p += 1;
      }); }); });
      trace.x = at[0]; trace.y = at[1]; trace.z = at[2];
      delete trace.meta;
    });
    if (narrow) { chart.layout.margin = {l: 52, r: 8, t: 36, b: chart.layout.margin.b}; }
    const place = document.getElementById("chart-" + k);
    const ready = Plotly.newPlot(place, chart.data, chart.layout, {responsive: true, displaylogo: false});
    if (place.parentNode.classList.contains("solid")) {
      ready.then(function () { picture(place); place.on("plotly_relayout", function () { picture(place); }); });
    }
    drawn.push(place);
  });
  window.addEventListener("beforeprint", function () { drawn.forEach(function (p) { Plotly.Plots.resize(p); }); });
  document.documentElement.dataset.drawn = String(drawn.length);
})();
"""


def html_page(title: str, lead: str, panels: Iterable[Panel], footer: str) -> str:
    """Return a page of panels.

    Parameters
    ----------
    title, lead, footer : str
        Plain text.
    panels : iterable of Table or Chart
        Charts beyond `DATA_BYTES` are named instead of drawn.
    """
    bodies: list[str] = []
    charts: list[str] = []
    spent = 0
    for panel in panels:
        if isinstance(panel, Table):
            bodies.append(_table(panel))
            continue
        text = _chart_json(panel)
        if spent + len(text) > DATA_BYTES:
            bodies.append(f'<p class="wide">{plain(panel.title)}: left out, because the page would be too large.</p>')
            continue
        bodies.append(_figure(panel, len(charts)))
        charts.append(text)
        spent += len(text)
    scripts = _scripts() if charts else []
    data = f'<script type="application/json" id="charts">[{",".join(charts)}]</script>' if charts else ""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{plain(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            f'<main><h1>{plain(title)}</h1>\n<p class="lead">{plain(lead)}</p>',
            "<noscript><p>The charts need JavaScript; the tables do not.</p></noscript>" if charts else "",
            f'<div class="panels">{"".join(bodies)}</div></main>',
            f"<footer>{plain(footer)}</footer>",
            data,
            *(f"<script>{script}</script>" for script in scripts),
            "</body>",
            "</html>",
            "",
        ]
    )


def _scripts() -> list[str]:
    from plotly.offline import get_plotlyjs

    return [get_plotlyjs(), DRAW]


def _policy(scripts: Sequence[str]) -> str:
    """Allow these scripts and nothing from elsewhere; plotly compiles its shaders' helpers, which is `eval`."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    script = f"script-src {allowed} 'unsafe-eval'; " if scripts else ""
    return f"default-src 'none'; {script}style-src 'unsafe-inline'; img-src data: blob:"


def _chart_json(chart: Chart) -> str:
    """Return data and layout as JSON that no HTML parser reads a tag in."""
    figure = chart.figure
    margin = {"l": 64, "r": 24, "t": 36, "b": 92 if figure.layout.showlegend else 52}
    figure.update_layout(
        template="none",
        margin=margin,
        font={"size": 13},
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        hovermode="closest",
    )
    if figure.layout.height is None:
        figure.update_layout(height=360)
    if not _is_solid(chart):
        axis = {"showline": True, "linecolor": "#8a939c", "gridcolor": "#e6e9ec", "zeroline": False, "ticks": "outside"}
        axis |= {"automargin": True}
        figure.update_xaxes(**axis)
        figure.update_yaxes(**axis)
    figure.update_layout(legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0})
    content: dict[str, Any] = json.loads(figure.to_json())
    text = json.dumps({"data": content["data"], "layout": content["layout"]}, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _is_solid(chart: Chart) -> bool:
    return any(trace.type in ("isosurface", "scatter3d") for trace in chart.figure.data)


def _figure(chart: Chart, k: int) -> str:
    note = f"<figcaption>{plain(chart.note)}</figcaption>" if chart.note else ""
    label = plain(f"Chart: {chart.title}. {chart.note}")
    height = int(chart.figure.layout.height or 360)
    classes = " ".join(name for name, on in (("wide", chart.wide), ("solid", _is_solid(chart))) if on)
    printed = f'<img class="print" alt="{label}">' if _is_solid(chart) else ""
    return (
        f'<figure class="{classes}"><h2>{plain(chart.title)}</h2>'
        f'<div class="plot" id="chart-{k}" role="img" aria-label="{label}" style="min-height:{height}px"></div>'
        f"{printed}{note}</figure>\n"
    )


_NUMBER = ' class="number"'


def _table(table: Table) -> str:
    head = ""
    if table.columns:
        cells = "".join(f'<th scope="col">{plain(name)}</th>' for name in table.columns)
        head = f"<thead><tr>{cells}</tr></thead>"
    rows = []
    kind = "grid" if table.columns else "list"
    for first, *others in table.rows:
        cells = "".join(f"<td{_NUMBER if cell[:1].isdigit() else ''}>{plain(cell)}</td>" for cell in others)
        rows.append(f'<tr><th scope="row">{plain(first)}</th>{cells}</tr>')
    body = f'<div class="scroll"><table class="{kind}">{head}<tbody>{"".join(rows)}</tbody></table></div>'
    if table.folded:
        return f'<details class="wide"><summary>{plain(table.title)}</summary>{body}</details>\n'
    return f'<section class="wide"><h2>{plain(table.title)}</h2>{body}</section>\n'
