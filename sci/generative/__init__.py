"""Generative models of scientific data: fields scale by scale, spins and memories, marginals of discrete variables."""

from sci.generative.next_scale.config import NextScaleConfig
from sci.generative.next_scale.filters import Sampling
from sci.generative.next_scale.model import NextScaleModel
from sci.generative.next_scale.tokens import ScaleTokens
from sci.generative.next_scale.training import train_next_scale
from sci.generative.spins.chains import SpinChains, sample_spins, temper_spins
from sci.generative.spins.exact import ExactSums, enumerate_states, kaufman_log_z, onsager, transfer_matrix
from sci.generative.spins.integration import LogZ, thermodynamic_integration
from sci.generative.spins.lattice import IsingModel, PottsModel
from sci.generative.spins.memory import DenseAssociativeMemory, dataset_entropy, examples_needed
from sci.generative.spins.replica import ReplicaSymmetric, phase_diagram, replica_symmetric, retrieval_curve
from sci.generative.spins.retrieval import Retrieval, retrieve
from sci.generative.spins.statistics import Estimate, autocorrelation_time, estimate

__all__ = [
    "DenseAssociativeMemory",
    "Estimate",
    "ExactSums",
    "IsingModel",
    "LogZ",
    "NextScaleConfig",
    "NextScaleModel",
    "PottsModel",
    "ReplicaSymmetric",
    "Retrieval",
    "Sampling",
    "ScaleTokens",
    "SpinChains",
    "autocorrelation_time",
    "dataset_entropy",
    "enumerate_states",
    "estimate",
    "examples_needed",
    "kaufman_log_z",
    "onsager",
    "phase_diagram",
    "replica_symmetric",
    "retrieval_curve",
    "retrieve",
    "sample_spins",
    "temper_spins",
    "thermodynamic_integration",
    "train_next_scale",
    "transfer_matrix",
]
