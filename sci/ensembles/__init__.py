"""Ensembles: how many degrees of freedom a set of points has, its clusters, and which points to keep."""

from sci.ensembles.clusters import Clusters, Mode, k_means, prototype_scores, select
from sci.ensembles.dimension import (
    IntrinsicDimension,
    LabelSharpness,
    Method,
    intrinsic_dimension,
    label_sharpness,
)

__all__ = [
    "Clusters",
    "IntrinsicDimension",
    "LabelSharpness",
    "Method",
    "Mode",
    "intrinsic_dimension",
    "k_means",
    "label_sharpness",
    "prototype_scores",
    "select",
]
