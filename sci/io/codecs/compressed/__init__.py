"""Compressed fields in files: arrays in chunks, series of frames, whole files, codes of quantizers; and models."""
