"""Ensembles: how many degrees of freedom a set of points has, its clusters, which points to keep, how far two sets are
apart, and frames of a trajectory made whole and superposed."""

from sci.ensembles.clusters import Clusters, Mode, Selection, k_means, prototype_scores, select
from sci.ensembles.dimension import (
    IntrinsicDimension,
    LabelSharpness,
    Method,
    intrinsic_dimension,
    label_sharpness,
)
from sci.ensembles.exact import exact_transport
from sci.ensembles.superposition import Superposition, superpose
from sci.ensembles.transport import Divergence, Transport, sinkhorn, sinkhorn_divergence
from sci.ensembles.unwrapping import unwrap

__all__ = [
    "Clusters",
    "Divergence",
    "IntrinsicDimension",
    "LabelSharpness",
    "Method",
    "Mode",
    "Selection",
    "Superposition",
    "Transport",
    "exact_transport",
    "intrinsic_dimension",
    "k_means",
    "label_sharpness",
    "prototype_scores",
    "select",
    "sinkhorn",
    "sinkhorn_divergence",
    "superpose",
    "unwrap",
]
