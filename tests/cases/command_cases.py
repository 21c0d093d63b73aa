"""A small molecule for the command, and the command as a function."""

from __future__ import annotations

from sci.cli import main

SMALL = """REMARK an atom of its own
ATOM      1  N   ALA A   1      0.000   0.000   0.000  0.5000 1.8240
ATOM      2  C   ALA A   1      1.500   0.000   0.250 -0.2500 1.9080
ATOM      3  O   ALA A   1      0.300   2.100  -0.700 -0.4000 1.6612
"""


def run(*arguments: object) -> int:
    """Return the exit code of the command."""
    try:
        return int(main([str(a) for a in arguments]) or 0)
    except SystemExit as stop:
        return int(stop.code or 0)
