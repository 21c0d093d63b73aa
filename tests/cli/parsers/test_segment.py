"""The bounds of the parser are those of the library."""

from __future__ import annotations

import pytest

from sci.cli.parsers.segment import OVERLAP
from sci.errors import InvalidValueError
from sci.nn.unet.boxes import plan_boxes


def test_what_the_parser_takes_the_library_takes() -> None:
    for overlap in (OVERLAP.low, OVERLAP.high):
        plan_boxes(2, (40, 30), 8, overlap)
    for overlap in (0.0, OVERLAP.high + 0.01):
        with pytest.raises(InvalidValueError):
            plan_boxes(2, (40, 30), 8, overlap)
