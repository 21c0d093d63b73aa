"""Generative models of scientific data: fields scale by scale."""

from sci.generative.next_scale.config import NextScaleConfig
from sci.generative.next_scale.filters import Sampling
from sci.generative.next_scale.model import NextScaleModel
from sci.generative.next_scale.tokens import ScaleTokens
from sci.generative.next_scale.training import train_next_scale

__all__ = [
    "NextScaleConfig",
    "NextScaleModel",
    "Sampling",
    "ScaleTokens",
    "train_next_scale",
]
