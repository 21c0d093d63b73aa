"""Gated linear recurrences: a decay a token and feature, and the delta rule."""
