"""Subcommands on sets of points: dimension, clusters and selection, distance."""
