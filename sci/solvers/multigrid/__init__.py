"""Geometric multigrid."""
