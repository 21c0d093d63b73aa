"""Tensor attention: every query attends to pairs of keys."""
