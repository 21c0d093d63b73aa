"""Softmax attention over one part of the keys, in tiles: what is seen, rules for scores, kernels, array references."""
