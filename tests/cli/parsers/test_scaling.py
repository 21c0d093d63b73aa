"""The bounds of the parser are those of the library."""

from __future__ import annotations

import numpy as np
import pytest

from sci.cli.parsers.scaling import CONFIDENCE, SAMPLES
from sci.errors import InvalidValueError
from sci.scaling import fit_power_law


def test_what_the_parser_takes_the_library_takes() -> None:
    x = np.geomspace(1, 1e4, 5)
    loss = 1 + x**-0.5
    fit = fit_power_law(x, loss, samples=int(SAMPLES.low))
    for confidence in (CONFIDENCE.low, CONFIDENCE.high):
        fit.interval(1e5, confidence=confidence)
    with pytest.raises(InvalidValueError):
        fit_power_law(x, loss, samples=int(SAMPLES.low) - 1)
