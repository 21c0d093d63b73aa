"""Ensembles: how many degrees of freedom a set of points has, its clusters, and which points to keep, and how far two
sets are apart."""

from sci.ensembles.clusters import Clusters, Mode, k_means, prototype_scores, select
from sci.ensembles.dimension import (
    IntrinsicDimension,
    LabelSharpness,
    Method,
    intrinsic_dimension,
    label_sharpness,
)
from sci.ensembles.exact import exact_transport
from sci.ensembles.transport import Divergence, Transport, sinkhorn, sinkhorn_divergence

__all__ = [
    "Clusters",
    "Divergence",
    "IntrinsicDimension",
    "LabelSharpness",
    "Method",
    "Mode",
    "Transport",
    "exact_transport",
    "intrinsic_dimension",
    "k_means",
    "label_sharpness",
    "prototype_scores",
    "select",
    "sinkhorn",
    "sinkhorn_divergence",
]
