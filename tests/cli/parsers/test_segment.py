"""The bounds of the parser are those of the library."""

from __future__ import annotations

from typing import get_args

import pytest

from sci.cli.parsers.segment import CLASSES, NORMS, OVERLAP
from sci.errors import InvalidValueError
from sci.nn import Segmenter, UNet, UNetConfig
from sci.nn.unet.boxes import plan_boxes
from sci.nn.unet.config import Norm


def test_what_the_parser_takes_the_library_takes() -> None:
    for overlap in (OVERLAP.low, OVERLAP.high):
        plan_boxes(2, (40, 30), 8, overlap)
    for overlap in (0.0, OVERLAP.high + 0.01):
        with pytest.raises(InvalidValueError):
            plan_boxes(2, (40, 30), 8, overlap)


def test_norms_and_classes_are_those_of_the_library() -> None:
    assert get_args(Norm) == NORMS
    for classes in (CLASSES.low, CLASSES.high):
        assert Segmenter(UNet.outline(UNetConfig(1, 1, int(classes), (1, 1)))).classes == classes
    for classes in (CLASSES.low - 1, CLASSES.high + 1):
        with pytest.raises(InvalidValueError):
            Segmenter(UNet.outline(UNetConfig(1, 1, int(classes), (1, 1))))
