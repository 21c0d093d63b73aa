"""Weights of few bits: codes and codebooks, grids from statistics, and trainings in which most weights stand still."""
