"""Marginalization models and associative memories in files."""

from __future__ import annotations

from sci.generative import DenseAssociativeMemory, MarginalModel
from sci.io.codecs.models import model_codec

__all__: list[str] = []

model_codec(MarginalModel, kind="marginal_model")
model_codec(DenseAssociativeMemory, kind="dense_memory")
