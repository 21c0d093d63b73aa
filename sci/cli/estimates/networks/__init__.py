"""Needs of neural networks: operators and segmentations."""
