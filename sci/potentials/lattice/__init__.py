"""Potentials of finite crystals, with defects."""
