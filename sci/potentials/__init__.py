"""Electrostatic potentials of many particles, range-separated: energies, forces, grids."""

from sci.potentials.defects import Interstitial, Substitution, Vacancy
from sci.potentials.direct import direct_sum
from sci.potentials.grid import PotentialGrid
from sci.potentials.lattice import LatticePotential
from sci.potentials.particles import Particles
from sci.potentials.periodic import PeriodicPotential
from sci.potentials.poses import interaction_energy
from sci.potentials.radial import GaussianSum, Newton, RadialKernel, Yukawa, gaussian_sum
from sci.potentials.range_separated import RangeSeparatedPotential
from sci.potentials.split import Split, split_kernel

__all__ = [
    "GaussianSum",
    "Interstitial",
    "LatticePotential",
    "Newton",
    "Particles",
    "PeriodicPotential",
    "PotentialGrid",
    "RadialKernel",
    "RangeSeparatedPotential",
    "Split",
    "Substitution",
    "Vacancy",
    "Yukawa",
    "direct_sum",
    "gaussian_sum",
    "interaction_energy",
    "split_kernel",
]
