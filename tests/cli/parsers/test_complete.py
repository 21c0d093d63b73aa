"""The bounds of the parser are those of the library."""

from __future__ import annotations

import numpy as np

from sci.cli.parsers.complete import LEVEL, RANK
from sci.completion import Prediction, masked_components


def test_what_the_parser_takes_the_library_takes() -> None:
    for axes in range(2, 7):
        for full in (RANK.low, RANK.high):
            assert masked_components(axes, int(full)).n_components > full
    one = np.ones(1)
    for level in (LEVEL.low, LEVEL.high):
        Prediction(one, one, one, np.linspace(0, 3, 103)).interval(level)
