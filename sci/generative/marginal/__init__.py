"""Marginalization models: log-marginals of any subset of discrete variables by one pass of a network."""
