"""Pictures (matplotlib) and pages with charts (plotly) of what the library computes; both are imported inside."""

from sci.plotting.completion import plot_completion
from sci.plotting.curvature import plot_curvature
from sci.plotting.ensembles import plot_points
from sci.plotting.figures import require_matplotlib
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.panels import Chart, Table
from sci.plotting.pages.registry import figures_of, kinds_without_figures
from sci.plotting.pages.write import report
from sci.plotting.potentials import plot_energies, plot_plane, plot_potential
from sci.plotting.scaling import plot_law
from sci.plotting.solvers import plot_iterations
from sci.plotting.spectra import plot_spectra
from sci.plotting.tensors import plot_tensors
from sci.plotting.training import plot_coordinates, plot_prediction, plot_training

__all__ = [
    "Chart",
    "Contents",
    "Table",
    "figures_of",
    "kinds_without_figures",
    "plot_completion",
    "plot_coordinates",
    "plot_curvature",
    "plot_energies",
    "plot_iterations",
    "plot_law",
    "plot_plane",
    "plot_points",
    "plot_potential",
    "plot_prediction",
    "plot_spectra",
    "plot_tensors",
    "plot_training",
    "report",
    "require_matplotlib",
]
