"""Codecs of compressed fields."""
