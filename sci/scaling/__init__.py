"""Scaling laws: how a loss falls with size, data and operations, and what follows for the next, larger run."""

from sci.scaling.crossover import crossovers, flip_probability
from sci.scaling.fit import PowerLawFit, fit_power_law
from sci.scaling.laws import ComputeOptimum, PowerLaw, compute_optimum, frontier
from sci.scaling.mixture import MixturePredictor, extrapolate, fit_mixture
from sci.scaling.one_pass import one_pass_loss
from sci.scaling.pruning import PerceptronError, perceptron_error

__all__ = [
    "ComputeOptimum",
    "MixturePredictor",
    "PerceptronError",
    "PowerLaw",
    "PowerLawFit",
    "compute_optimum",
    "crossovers",
    "extrapolate",
    "fit_mixture",
    "fit_power_law",
    "flip_probability",
    "frontier",
    "one_pass_loss",
    "perceptron_error",
]
