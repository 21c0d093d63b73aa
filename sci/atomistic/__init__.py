"""Potentials of atoms: equivariant networks for the short range, exact Coulomb sums for the long range."""

from sci.atomistic.config import AtomisticConfig
from sci.atomistic.configuration import Configuration
from sci.atomistic.errors import prediction_errors
from sci.atomistic.melts import ionic_melt, salt_energy
from sci.atomistic.neighbors import neighbor_pairs
from sci.atomistic.network.radial import radial_basis
from sci.atomistic.potential import AtomisticPotential, Prediction
from sci.atomistic.predictions import Predictions, predict_configurations
from sci.atomistic.ranks.evaluate import predict_on_ranks
from sci.atomistic.training.config import PotentialTraining
from sci.atomistic.training.loop import train_potential

__all__ = [
    "AtomisticConfig",
    "AtomisticPotential",
    "Configuration",
    "PotentialTraining",
    "Prediction",
    "Predictions",
    "ionic_melt",
    "neighbor_pairs",
    "predict_configurations",
    "predict_on_ranks",
    "prediction_errors",
    "radial_basis",
    "salt_energy",
    "train_potential",
]
