"""Potentials of atoms: equivariant networks for the short range, exact Coulomb sums for the long range."""

from sci.atomistic.config import AtomisticConfig
from sci.atomistic.configuration import Configuration
from sci.atomistic.errors import prediction_errors
from sci.atomistic.melts import ionic_melt, salt_energy
from sci.atomistic.neighbors import neighbor_pairs
from sci.atomistic.potential import AtomisticPotential, Prediction
from sci.atomistic.predictions import Predictions, predict_configurations
from sci.atomistic.radial import radial_basis
from sci.atomistic.training import train_potential
from sci.atomistic.training_config import PotentialTraining

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
    "prediction_errors",
    "radial_basis",
    "salt_energy",
    "train_potential",
]
