"""Needs of neural networks: operators, segmentations, and potentials of atoms."""
