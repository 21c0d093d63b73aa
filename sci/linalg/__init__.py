"""Linear algebra that several rooms share: reductions over pairs of points, without the matrix of pairs."""

from sci.linalg.pairwise.neighbors import nearest, nearest_k, steepest
from sci.linalg.pairwise.points import PackedPoints
from sci.linalg.pairwise.soft import log_sum_exp, weighted_sum

__all__ = ["PackedPoints", "log_sum_exp", "nearest", "nearest_k", "steepest", "weighted_sum"]
