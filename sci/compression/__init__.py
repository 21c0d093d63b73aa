"""Compression of fields and of networks: transforms and coders with an error bound, and learned codebooks."""

from sci.compression.vector.quantizer import MultiScaleVQ

__all__ = ["MultiScaleVQ"]
