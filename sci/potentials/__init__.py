"""Electrostatic potentials of many particles, range-separated: energies, forces, grids."""

from sci.potentials.direct import direct_sum
from sci.potentials.ewald import ewald_sum
from sci.potentials.forcefield.bonds import bonds_by_distance
from sci.potentials.forcefield.conformers import conformer_energies_and_forces
from sci.potentials.forcefield.dipoles import DipoleResult, dipole_energy_and_forces, dipole_field
from sci.potentials.forcefield.exclusions import Exclusions
from sci.potentials.forcefield.groups import group_energies
from sci.potentials.frame_loop import FrameJob, FrameSink, compute_frames
from sci.potentials.grid import PotentialGrid, box_axes
from sci.potentials.lattice.defects import Interstitial, Substitution, Vacancy
from sci.potentials.lattice.potential import LatticePotential
from sci.potentials.measured.error import MeasuredError
from sci.potentials.mesh.particle_mesh import ParticleMesh
from sci.potentials.particles import Particles
from sci.potentials.periodic import PeriodicPotential
from sci.potentials.poses import interaction_energy, rotation_matrices
from sci.potentials.radial.kernels import Coulomb, GaussianSum, RadialKernel, Yukawa, gaussian_sum
from sci.potentials.radial.split import Split, split_kernel
from sci.potentials.range_separated.potential import RangeSeparatedPotential
from sci.potentials.stress import periodic_stress
from sci.potentials.trajectory import (
    FramePlan,
    FrameResult,
    Trajectory,
    compute_frame,
    energy_and_forces,
    plan_frames,
)

__all__ = [
    "Coulomb",
    "DipoleResult",
    "Exclusions",
    "FrameJob",
    "FramePlan",
    "FrameResult",
    "FrameSink",
    "GaussianSum",
    "Interstitial",
    "LatticePotential",
    "MeasuredError",
    "ParticleMesh",
    "Particles",
    "PeriodicPotential",
    "PotentialGrid",
    "RadialKernel",
    "RangeSeparatedPotential",
    "Split",
    "Substitution",
    "Trajectory",
    "Vacancy",
    "Yukawa",
    "bonds_by_distance",
    "box_axes",
    "compute_frame",
    "compute_frames",
    "conformer_energies_and_forces",
    "dipole_energy_and_forces",
    "dipole_field",
    "direct_sum",
    "energy_and_forces",
    "ewald_sum",
    "gaussian_sum",
    "group_energies",
    "interaction_energy",
    "periodic_stress",
    "plan_frames",
    "rotation_matrices",
    "split_kernel",
]
