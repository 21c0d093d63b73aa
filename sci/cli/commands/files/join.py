"""`sci join FILE -o OUT`: one plain file of a file whose grid lies in parts."""

from __future__ import annotations

import argparse

from sci import io
from sci.cli.outcome import require_writable, tell
from sci.cli.sharing import on_first_alone

__all__ = ["run"]


@on_first_alone
def run(arguments: argparse.Namespace) -> None:
    """Join the parts."""
    a = arguments
    require_writable([a.output], [a.file], overwrite=a.overwrite)
    io.join_parts(a.file, a.output)
    shape = io.read_slabs(a.output).shape
    n_bytes = a.output.stat().st_size
    report = {"file": str(a.file), "output": str(a.output), "shape": list(shape), "bytes": n_bytes}
    tell(a, report, [(str(a.output), f"{' x '.join(map(str, shape))} points of {a.file}, {n_bytes / 1e6:.3g} MB")])
