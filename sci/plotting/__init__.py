"""Pictures of potentials, trainings, predictions and solvers (matplotlib, imported inside)."""

from sci.plotting.figures import require_matplotlib
from sci.plotting.potentials import plot_energies, plot_plane, plot_potential
from sci.plotting.solvers import plot_iterations
from sci.plotting.training import plot_prediction, plot_training

__all__ = [
    "plot_energies",
    "plot_iterations",
    "plot_plane",
    "plot_potential",
    "plot_prediction",
    "plot_training",
    "require_matplotlib",
]
