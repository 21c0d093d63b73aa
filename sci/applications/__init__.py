"""Physics that uses solvers and operators: smoke plumes, reaction fields, ions, homogenization of composites."""

from sci.applications.homogenization.equino import EquiNO, Prediction
from sci.applications.homogenization.laws import Composite, IsotropicLaw, LinearElastic, Saturating, frobenius
from sci.applications.homogenization.modes import pod_modes, snapshots
from sci.applications.homogenization.rve import Equilibrium, PeriodicRVE, circular_inclusions
from sci.applications.smoke import SmokeFrame, SmokePlume, ball
from sci.applications.solvation.poisson_boltzmann import Electrolyte, PoissonBoltzmann, poisson_boltzmann
from sci.applications.solvation.reaction_field import ReactionField, reaction_field

__all__ = [
    "Composite",
    "Electrolyte",
    "EquiNO",
    "Equilibrium",
    "IsotropicLaw",
    "LinearElastic",
    "PeriodicRVE",
    "PoissonBoltzmann",
    "Prediction",
    "ReactionField",
    "Saturating",
    "SmokeFrame",
    "SmokePlume",
    "ball",
    "circular_inclusions",
    "frobenius",
    "pod_modes",
    "poisson_boltzmann",
    "reaction_field",
    "snapshots",
]
