"""Bounds of the parser of `sci fields` that the library takes."""

from __future__ import annotations

from sci.cli.parsers.generative.fields import CODES, GUIDANCE, LAYERS
from sci.generative import NextScaleConfig, Sampling


def test_what_the_parser_takes_the_library_takes() -> None:
    for layers in (LAYERS.low, LAYERS.high):
        NextScaleConfig([(1,)], vocabulary=int(CODES.high), channels=1, layers=int(layers))
    for strength in (GUIDANCE.low, GUIDANCE.high):
        Sampling(guidance=float(strength))
