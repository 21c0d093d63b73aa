"""Softmax attention over a sequence spread over ranks, and its cost model."""
