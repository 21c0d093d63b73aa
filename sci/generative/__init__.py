"""Generative models of scientific data: fields scale by scale, diffusion, crystals, spins, memories and marginals."""

from sci.generative.crystals.crystals import Crystals, composition_of, crystal
from sci.generative.crystals.denoiser.config import CrystalConfig
from sci.generative.crystals.denoiser.features import CrystalFeatures
from sci.generative.crystals.denoiser.generate import GeneratedCrystals, generate_crystals
from sci.generative.crystals.denoiser.model import CrystalDiffusion
from sci.generative.crystals.denoiser.training import CrystalTraining, noise_losses, train_crystals
from sci.generative.crystals.fingerprints import Fingerprint, fingerprint, first_alike
from sci.generative.crystals.metrics import (
    CrystalReport,
    atoms_apart,
    evaluate_crystals,
    neutral_composition,
)
from sci.generative.crystals.prototypes import ionic_crystals
from sci.generative.crystals.table import CrystalTensor, decode_crystal, encode_crystal
from sci.generative.diffusion.exact import ExactDenoiser
from sci.generative.diffusion.sampling import draw_samples
from sci.generative.diffusion.schedules import NoiseSchedule, Transition, cosine_schedule, linear_schedule
from sci.generative.marginal.exact import MarginalErrors, log_weight, marginal_errors, partial_sums
from sci.generative.marginal.model import MarginalModel
from sci.generative.marginal.sampling import ImportanceSample, importance_log_z
from sci.generative.marginal.training import fit_energy, fit_likelihood
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
    "CrystalConfig",
    "CrystalDiffusion",
    "CrystalFeatures",
    "CrystalReport",
    "CrystalTensor",
    "CrystalTraining",
    "Crystals",
    "DenseAssociativeMemory",
    "Estimate",
    "ExactDenoiser",
    "ExactSums",
    "Fingerprint",
    "GeneratedCrystals",
    "ImportanceSample",
    "IsingModel",
    "LogZ",
    "MarginalErrors",
    "MarginalModel",
    "NextScaleConfig",
    "NextScaleModel",
    "NoiseSchedule",
    "PottsModel",
    "ReplicaSymmetric",
    "Retrieval",
    "Sampling",
    "ScaleTokens",
    "SpinChains",
    "Transition",
    "atoms_apart",
    "autocorrelation_time",
    "composition_of",
    "cosine_schedule",
    "crystal",
    "dataset_entropy",
    "decode_crystal",
    "draw_samples",
    "encode_crystal",
    "enumerate_states",
    "estimate",
    "evaluate_crystals",
    "examples_needed",
    "fingerprint",
    "first_alike",
    "fit_energy",
    "fit_likelihood",
    "generate_crystals",
    "importance_log_z",
    "ionic_crystals",
    "kaufman_log_z",
    "linear_schedule",
    "log_weight",
    "marginal_errors",
    "neutral_composition",
    "noise_losses",
    "onsager",
    "partial_sums",
    "phase_diagram",
    "replica_symmetric",
    "retrieval_curve",
    "retrieve",
    "sample_spins",
    "temper_spins",
    "thermodynamic_integration",
    "train_crystals",
    "train_next_scale",
    "transfer_matrix",
]
