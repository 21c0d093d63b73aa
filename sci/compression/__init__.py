"""Compression of fields and of networks: transforms and coders with an error bound, and learned codebooks."""

from sci.compression.chunks.grid import CompressedGrid, compress_grid
from sci.compression.fields.compress import compress
from sci.compression.fields.field import CompressedField
from sci.compression.networks.compress import compress_model
from sci.compression.networks.compressed import CompressedModel, WeightReport
from sci.compression.quantize import dequantize, quantize
from sci.compression.vector.coded import CodedFields, encode_fields, unit_rms
from sci.compression.vector.quantizer import MultiScaleVQ
from sci.compression.vector.smoothing import train_smoothing
from sci.compression.vector.training import train_vector_quantizer

__all__ = [
    "CodedFields",
    "CompressedField",
    "CompressedGrid",
    "CompressedModel",
    "MultiScaleVQ",
    "WeightReport",
    "compress",
    "compress_grid",
    "compress_model",
    "dequantize",
    "encode_fields",
    "quantize",
    "train_smoothing",
    "train_vector_quantizer",
    "unit_rms",
]
