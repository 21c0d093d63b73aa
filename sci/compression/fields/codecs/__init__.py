"""Codecs of fields: bases, their quantized coefficients, and fields without loss."""
