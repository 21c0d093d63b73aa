"""Panels of a page: tables, and charts with what was left out of them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Chart", "Panel", "Table", "number", "plain", "size"]


@dataclass(frozen=True)
class Table:
    """A table with a heading.

    Parameters
    ----------
    title : str
    rows : sequence of sequences of str
        Plain text, which the page escapes.
    columns : sequence of str
        Headings of the columns; none for a list of names and values.
    folded : bool
        Show the heading alone until the reader opens it.

    Examples
    --------
    >>> from sci.plotting import Table
    >>> Table("energies", [["frame 0", "-1.5"]], columns=["frame", "eV"]).title
    'energies'
    """

    title: str
    rows: Sequence[Sequence[str]]
    columns: Sequence[str] = ()
    folded: bool = False


@dataclass(frozen=True, repr=False)
class Chart:
    """A chart with a heading and a note.

    Parameters
    ----------
    title : str
        Plain text.
    figure : plotly.graph_objects.Figure
        Texts of the file that stand in it went through `plain`, because plotly reads tags in its labels.
    note : str
        Plain text below: what the chart leaves out, and how colors are limited.
    wide : bool
        Take the whole width of the page.

    Examples
    --------
    >>> from sci.plotting import Chart
    >>> Chart("the loss", figure=None, note="of every step").title
    'the loss'
    """

    title: str
    figure: Any
    note: str = ""
    wide: bool = False

    def __repr__(self) -> str:
        """Return the title and the kinds of traces."""
        return f"Chart({self.title!r}, {[trace.type for trace in self.figure.data]})"


Panel = Table | Chart


def plain(text: Any) -> str:
    """Return a text without control characters or tags: for HTML, and for the labels of plotly.

    Examples
    --------
    >>> from sci.plotting.pages.panels import plain
    >>> plain("a</script>")
    'a&lt;/script&gt;'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return html.escape(shown)


def number(value: Any) -> str:
    """Return a number in at most twelve digits, counts with separators, and anything else as text.

    Examples
    --------
    >>> from sci.plotting.pages.panels import number
    >>> number(0.25), number(12345678), number(True)
    ('0.25', '12,345,678', 'yes')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        return f"{float(value):.12g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(number, value))
    return "none" if value is None else str(value)


def size(n_bytes: float) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> from sci.plotting.pages.panels import size
    >>> size(1536)
    '1.54 kB'
    """
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"
