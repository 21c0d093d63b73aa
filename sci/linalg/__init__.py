"""Linear algebra that several rooms share: reductions over pairs of points, without the matrix of pairs."""

from sci.linalg.pairwise import PackedPoints, log_sum_exp, nearest, nearest_k, steepest, weighted_sum

__all__ = ["PackedPoints", "log_sum_exp", "nearest", "nearest_k", "steepest", "weighted_sum"]
