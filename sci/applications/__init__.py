"""Physics that uses solvers and operators: smoke plumes, reaction fields, homogenization of composites."""

from sci.applications.homogenization.equino import EquiNO, Prediction
from sci.applications.homogenization.laws import Composite, IsotropicLaw, LinearElastic, Saturating, frobenius
from sci.applications.homogenization.modes import pod_modes, snapshots
from sci.applications.homogenization.rve import Equilibrium, PeriodicRVE, circular_inclusions
from sci.applications.smoke import SmokeFrame, SmokePlume, ball
from sci.applications.solvation import ReactionField, reaction_field

__all__ = [
    "Composite",
    "EquiNO",
    "Equilibrium",
    "IsotropicLaw",
    "LinearElastic",
    "PeriodicRVE",
    "Prediction",
    "ReactionField",
    "Saturating",
    "SmokeFrame",
    "SmokePlume",
    "ball",
    "circular_inclusions",
    "frobenius",
    "pod_modes",
    "reaction_field",
    "snapshots",
]
