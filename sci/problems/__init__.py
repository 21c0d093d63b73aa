"""Model problems and their random inputs: random fields, masks, Poisson, Darcy, Navier-Stokes and wave
data, sequences with labels far away.

Sample i of a set depends on the seed and on i alone, so the number of ranks does not change the data.
"""

from sci.problems.darcy import darcy_flow, solve_darcy
from sci.problems.masks import neumann_part, random_bodies, random_mask, stress_masks
from sci.problems.motif_pairs import MotifPairs
from sci.problems.navier_stokes import evolve_vorticity, kolmogorov_force, navier_stokes
from sci.problems.poisson import divergence_source, noise_source, right_hand_side, sphere_and_blob
from sci.problems.random_fields import (
    cosine_random_field,
    interpolated_random_field,
    multiscale_random_fields,
    neumann_random_field,
    periodic_random_field,
    sample_generator,
)
from sci.problems.waves import leapfrog_waves, wave_energy, wave_fields

__all__ = [
    "MotifPairs",
    "cosine_random_field",
    "darcy_flow",
    "divergence_source",
    "evolve_vorticity",
    "interpolated_random_field",
    "kolmogorov_force",
    "leapfrog_waves",
    "multiscale_random_fields",
    "navier_stokes",
    "neumann_part",
    "neumann_random_field",
    "noise_source",
    "periodic_random_field",
    "random_bodies",
    "random_mask",
    "right_hand_side",
    "sample_generator",
    "solve_darcy",
    "sphere_and_blob",
    "stress_masks",
    "wave_energy",
    "wave_fields",
]
