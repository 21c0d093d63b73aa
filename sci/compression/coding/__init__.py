"""Coding: integers to bytes by a range coder with contexts, or by LZMA."""
