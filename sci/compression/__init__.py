"""Compression of fields and of networks: transforms and coders with an error bound, and learned codebooks."""

from sci.compression.fields.compress import compress
from sci.compression.fields.field import CompressedField
from sci.compression.quantize import dequantize, quantize
from sci.compression.vector.quantizer import MultiScaleVQ

__all__ = ["CompressedField", "MultiScaleVQ", "compress", "dequantize", "quantize"]
