"""`sci report FILE -o PAGE.html`: a page with tables and charts of what a file holds."""

from __future__ import annotations

import argparse

from sci.cli.outcome import require_writable, tell
from sci.cli.sharing import on_first_alone
from sci.errors import InvalidValueError
from sci.plotting import report

__all__ = ["run"]


@on_first_alone
def run(arguments: argparse.Namespace) -> None:
    """Write the page and print its name."""
    a = arguments
    output = a.output or a.file.with_suffix(".html")
    if output.suffix.lower() not in ("", ".html", ".htm"):
        raise InvalidValueError(f"-o {output}: the page is HTML; expected a name that ends in .html")
    require_writable([output], [path for path in (a.file, a.truth) if path], overwrite=a.overwrite)
    report(a.file, output, truth=a.truth)
    found = {"file": str(a.file), "page": str(output), "bytes": output.stat().st_size}
    tell(a, found, [(str(output), "")])
