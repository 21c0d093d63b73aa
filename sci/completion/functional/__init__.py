"""Functional completion: factors that are Gaussian processes along ordered axes, with their uncertainty."""
