"""Compressed fields in files: arrays in chunks, series of frames, whole files, and codes of vector quantizers."""
