"""Weights as functions of other arrays, and what changes the weights of a model kept apart from it."""
