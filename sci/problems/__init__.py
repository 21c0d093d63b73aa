"""Model problems and their random inputs: random fields, masks, Poisson, Darcy and Navier-Stokes data.

Sample i of a set depends on the seed and on i alone, so the number of ranks does not change the data.
"""

from sci.problems.darcy import darcy_flow, solve_darcy
from sci.problems.masks import insulating_part, random_bodies, random_mask, smooth_noise, stress_masks
from sci.problems.navier_stokes import evolve_vorticity, kolmogorov_force, navier_stokes
from sci.problems.poisson import divergence_source, noise_source, right_hand_side, smooth_field, sphere_and_blob
from sci.problems.random_fields import neumann_random_field, periodic_random_field, sample_generator

__all__ = [
    "darcy_flow",
    "divergence_source",
    "evolve_vorticity",
    "insulating_part",
    "kolmogorov_force",
    "navier_stokes",
    "neumann_random_field",
    "noise_source",
    "periodic_random_field",
    "random_bodies",
    "random_mask",
    "right_hand_side",
    "sample_generator",
    "smooth_field",
    "smooth_noise",
    "solve_darcy",
    "sphere_and_blob",
    "stress_masks",
]
