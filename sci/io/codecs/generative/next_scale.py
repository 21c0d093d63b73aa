"""Next-scale models in files."""

from __future__ import annotations

from sci.generative import NextScaleModel
from sci.io.codecs.models import model_codec

__all__: list[str] = []

model_codec(NextScaleModel, kind="next_scale_model")
