"""Layers that are equivariant under linear maps of space: polar coordinates, Haar samples, convolutions."""
