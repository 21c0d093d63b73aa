"""Differentiable primitives."""
