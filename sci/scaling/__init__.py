"""Scaling laws: how a loss falls with size, data and operations, and what follows for the next, larger run."""

from sci.scaling.compound import ScaledNetwork, ScaleFactors, scale_factors, scale_network
from sci.scaling.counts import (
    Counts,
    LayerCounts,
    Memory,
    TrainingMemory,
    count,
    inference_memory,
    training_memory,
)
from sci.scaling.crossover import crossovers, flip_probability
from sci.scaling.fit import PowerLawFit, fit_power_law
from sci.scaling.information import InformationGain, information_gain
from sci.scaling.laws import ComputeOptimum, PowerLaw, compute_optimum, frontier
from sci.scaling.mixture import MixturePredictor, extrapolate, fit_mixture
from sci.scaling.networks import Layer, StagedNetwork, count_layers
from sci.scaling.one_pass import one_pass_loss
from sci.scaling.planner import TrainingPlan, best_plan, plan_training
from sci.scaling.pruning import PerceptronError, perceptron_error

__all__ = [
    "ComputeOptimum",
    "Counts",
    "InformationGain",
    "Layer",
    "LayerCounts",
    "Memory",
    "MixturePredictor",
    "PerceptronError",
    "PowerLaw",
    "PowerLawFit",
    "ScaleFactors",
    "ScaledNetwork",
    "StagedNetwork",
    "TrainingMemory",
    "TrainingPlan",
    "best_plan",
    "compute_optimum",
    "count",
    "count_layers",
    "crossovers",
    "extrapolate",
    "fit_mixture",
    "fit_power_law",
    "flip_probability",
    "frontier",
    "inference_memory",
    "information_gain",
    "one_pass_loss",
    "perceptron_error",
    "plan_training",
    "scale_factors",
    "scale_network",
    "training_memory",
]
