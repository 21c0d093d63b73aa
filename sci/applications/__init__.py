"""Physics that uses solvers and operators: smoke, reaction fields, ions, homogenization and laws of composites."""

from sci.applications.homogenization.equino import EquiNO, Prediction
from sci.applications.homogenization.laws import Composite, IsotropicLaw, LinearElastic, Saturating, frobenius
from sci.applications.homogenization.modes import pod_modes, snapshots
from sci.applications.homogenization.objective import (
    FiniteStrainLaw,
    InfinitesimalLaw,
    ObjectiveLaw,
    hencky_strain,
    objectivity_error,
    stress_of,
)
from sci.applications.homogenization.rve import Equilibrium, PeriodicRVE, circular_inclusions
from sci.applications.smoke import SmokeFrame, SmokePlume, ball
from sci.applications.solvation.poisson_boltzmann import Electrolyte, PoissonBoltzmann, poisson_boltzmann
from sci.applications.solvation.reaction_field import ReactionField, reaction_field

__all__ = [
    "Composite",
    "Electrolyte",
    "EquiNO",
    "Equilibrium",
    "FiniteStrainLaw",
    "InfinitesimalLaw",
    "IsotropicLaw",
    "LinearElastic",
    "ObjectiveLaw",
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
    "hencky_strain",
    "objectivity_error",
    "pod_modes",
    "poisson_boltzmann",
    "reaction_field",
    "snapshots",
    "stress_of",
]
